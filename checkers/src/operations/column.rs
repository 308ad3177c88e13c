//! A column of numbers that stand close to each other: 256 rows share a base, each row holds its
//! distance from it in as few bytes as the block needs.
//!
//! Nothing is rounded and nothing is refused: a block whose numbers lie far apart becomes wider, at
//! worst eight bytes a row. What a number means is the store's business.

/// Rows that share a base.
pub const ROWS: usize = 256;

/// Numbers by row. Signed ones go in and come out as their bits.
#[derive(Debug, Clone, Default)]
pub struct Column {
    blocks: Vec<Block>,
    len: usize,
}

#[derive(Debug, Clone)]
struct Block {
    base: u64,
    cells: Cells,
}

/// A block of a column, for going through its rows.
#[derive(Debug, Clone, Copy, Default)]
pub struct View<'a> {
    base: u64,
    cells: Option<&'a Cells>,
}

#[derive(Debug, Clone)]
enum Cells {
    One(Box<[u8; ROWS]>),
    Two(Box<[u16; ROWS]>),
    Four(Box<[u32; ROWS]>),
    Eight(Box<[u64; ROWS]>),
}

impl Column {
    /// How many rows.
    pub fn len(&self) -> usize {
        self.len
    }

    /// The number of a row; 0 for a row that is not there. It never panics, so that a number that
    /// nobody uses is not fetched either.
    #[inline(always)]
    pub fn get(&self, row: usize) -> u64 {
        match self.blocks.get(row / ROWS) {
            Some(block) if row < self.len => block.get(row % ROWS),
            _ => 0,
        }
    }

    /// A block of rows, by the number of its first row over [`ROWS`]: whoever goes through the rows
    /// in their order looks a block up once. Rows that are not there have any number.
    #[inline(always)]
    pub fn view(&self, block: usize) -> View<'_> {
        match self.blocks.get(block) {
            Some(block) => View {
                base: block.base,
                cells: Some(&block.cells),
            },
            None => View::default(),
        }
    }

    #[cold]
    #[inline(never)]
    fn begin(&mut self, first: u64) {
        let block = Block::after(&self.blocks, first);
        self.blocks.push(block);
    }

    /// Adds a row.
    #[inline(always)]
    pub fn push(&mut self, number: u64) {
        let at = self.len % ROWS;
        if at == 0 {
            self.begin(number);
        }
        self.len += 1;
        if let Some(block) = self.blocks.last_mut()
            && !block.put(at, number)
        {
            block.widen(at + 1, at, number);
        }
    }

    /// Changes a row that is there.
    #[inline]
    pub fn set(&mut self, row: usize, number: u64) {
        let Some(block) = self.blocks.get_mut(row / ROWS) else {
            return;
        };
        if !block.put(row % ROWS, number) {
            let filled = self.len - row / ROWS * ROWS;
            block.widen(filled.min(ROWS), row % ROWS, number);
        }
    }

    /// Bytes of the heap that it occupies.
    pub fn heap_bytes(&self) -> u64 {
        let cells: usize = self.blocks.iter().map(|block| block.width() * ROWS).sum();
        (self.blocks.capacity() * size_of::<Block>() + cells) as u64
    }
}

impl Block {
    /// The block that follows others: as wide as the narrower of the last two, so that a stray
    /// number widens one block only; on the same base where the first number fits there.
    fn after(blocks: &[Block], first: u64) -> Self {
        let width = blocks.iter().rev().take(2).map(Block::width).min();
        let width = width.unwrap_or(1);
        let room = room(width);
        let near = |last: &&Block| first.wrapping_sub(last.base) <= room / 2;
        let base = match blocks.last().filter(near) {
            Some(last) => last.base,
            None if width == 1 => first,
            None => first.wrapping_sub(room / 4),
        };
        let cells = Cells::of(width);
        Self { base, cells }
    }

    fn width(&self) -> usize {
        match self.cells {
            Cells::One(_) => 1,
            Cells::Two(_) => 2,
            Cells::Four(_) => 4,
            Cells::Eight(_) => 8,
        }
    }

    #[inline(always)]
    fn get(&self, at: usize) -> u64 {
        self.base.wrapping_add(self.cells.get(at))
    }

    /// Whether the number had room.
    #[inline(always)]
    fn put(&mut self, at: usize, number: u64) -> bool {
        let at = at % ROWS;
        let distance = number.wrapping_sub(self.base);
        match &mut self.cells {
            Cells::One(cells) => u8::try_from(distance).map(|distance| cells[at] = distance),
            Cells::Two(cells) => u16::try_from(distance).map(|distance| cells[at] = distance),
            Cells::Four(cells) => u32::try_from(distance).map(|distance| cells[at] = distance),
            Cells::Eight(cells) => {
                cells[at] = distance;
                Ok(())
            }
        }
        .is_ok()
    }

    /// Moves the base, and takes more bytes if that is not enough, so that a number has room
    /// beside the `filled` rows that there are.
    #[cold]
    #[inline(never)]
    fn widen(&mut self, filled: usize, at: usize, number: u64) {
        let old: Vec<u64> = (0..filled).map(|row| self.get(row)).collect();
        // Around the new number, since the numbers may be near either end of what 64 bits hold.
        let from_new = |n: u64| n.wrapping_sub(number) as i64;
        let others = || old.iter().enumerate().filter(|(row, _)| *row != at);
        let lowest = others()
            .map(|(_, &n)| from_new(n))
            .min()
            .unwrap_or(0)
            .min(0);
        let highest = others()
            .map(|(_, &n)| from_new(n))
            .max()
            .unwrap_or(0)
            .max(0);
        let span = highest.wrapping_sub(lowest) as u64;
        let width = [1, 2, 4].into_iter().find(|&width| span <= room(width));
        let width = width.unwrap_or(8).max(self.width());
        // Free room on both sides, so that a sequence that runs down does not come here each time.
        let spare = (room(width) - span) / 2;
        self.base = number.wrapping_add(lowest as u64).wrapping_sub(spare);
        self.cells = Cells::of(width);
        for (row, number) in others() {
            self.put(row, *number);
        }
        self.put(at, number);
    }
}

impl View<'_> {
    /// The number of a row, by its place in the block.
    #[inline(always)]
    pub fn get(&self, at: usize) -> u64 {
        let distance = self.cells.map_or(0, |cells| cells.get(at));
        self.base.wrapping_add(distance)
    }
}

impl Cells {
    #[inline(always)]
    fn get(&self, at: usize) -> u64 {
        let at = at % ROWS;
        match self {
            Cells::One(cells) => u64::from(cells[at]),
            Cells::Two(cells) => u64::from(cells[at]),
            Cells::Four(cells) => u64::from(cells[at]),
            Cells::Eight(cells) => cells[at],
        }
    }

    fn of(width: usize) -> Self {
        match width {
            1 => Cells::One(Box::new([0; ROWS])),
            2 => Cells::Two(Box::new([0; ROWS])),
            4 => Cells::Four(Box::new([0; ROWS])),
            _ => Cells::Eight(Box::new([0; ROWS])),
        }
    }
}

/// The largest distance that so many bytes hold.
#[inline]
fn room(width: usize) -> u64 {
    u64::MAX >> (64 - 8 * width)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Small steps, wide ones, and the ends of what 64 bits hold.
    fn number() -> impl Strategy<Value = u64> {
        prop_oneof![
            4 => 0u64..40,
            2 => 1000u64..70_000,
            1 => any::<u64>(),
            1 => prop::sample::select(vec![0, u64::MAX, i64::MAX as u64, i64::MIN as u64]),
        ]
    }

    proptest! {
        #[test]
        fn numbers_come_back(
            pushed in prop::collection::vec(number(), 1..700),
            changed in prop::collection::vec((any::<prop::sample::Index>(), number()), 0..60),
        ) {
            let mut column = Column::default();
            let mut expected = pushed.clone();
            pushed.iter().for_each(|&number| column.push(number));
            for (row, number) in changed {
                let row = row.index(expected.len());
                column.set(row, number);
                expected[row] = number;
            }
            let got: Vec<u64> = (0..column.len()).map(|row| column.get(row)).collect();
            prop_assert_eq!(got, expected);
            prop_assert_eq!(column.get(column.len()), 0);
        }
    }

    #[test]
    fn what_stands_close_costs_little_wherever_it_stands() {
        for first in [0, 1 << 40, u64::MAX - 300_000] {
            for step in [0i64, 1, -1] {
                let mut column = Column::default();
                (0..100_000i64).for_each(|n| column.push(first.wrapping_add((n * step) as u64)));
                let bytes = column.heap_bytes();
                assert!(bytes <= 230_000, "{bytes} bytes from {first} by {step}");
                assert_eq!(
                    column.get(77_777),
                    first.wrapping_add((77_777 * step) as u64)
                );
            }
        }
    }

    #[test]
    fn one_stray_number_costs_one_block() {
        let mut column = Column::default();
        (0..100_000u64).for_each(|n| column.push(if n == 5000 { u64::MAX / 2 } else { n }));
        assert!(column.heap_bytes() <= 230_000, "{}", column.heap_bytes());
        assert_eq!(column.get(5000), u64::MAX / 2);
        assert_eq!(column.get(5001), 5001);
    }
}
