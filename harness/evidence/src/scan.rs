//! Reads a log message from left to right: literals, numbers, partitions, lists of brokers.
//!
//! It knows no line of Kafka's; every step says whether what it asked for stood there.

use history::{Epoch, NodeId, Offset, Partition};

/// What is left of a message.
pub(crate) struct Scan<'a>(pub(crate) &'a str);

impl<'a> Scan<'a> {
    /// Skips what must stand here.
    pub(crate) fn skip(&mut self, literal: &str) -> Option<()> {
        self.0 = self.0.strip_prefix(literal)?;
        Some(())
    }

    /// Everything before the next `literal`, which is skipped as well.
    pub(crate) fn until(&mut self, literal: &str) -> Option<&'a str> {
        let (before, rest) = self.0.split_once(literal)?;
        self.0 = rest;
        Some(before)
    }

    /// A whole number, as far as it goes.
    pub(crate) fn number<T: std::str::FromStr>(&mut self) -> Option<T> {
        let end = self
            .0
            .char_indices()
            .find(|(at, c)| !(c.is_ascii_digit() || (*at == 0 && *c == '-')))
            .map_or(self.0.len(), |(at, _)| at);
        let (digits, rest) = self.0.split_at_checked(end)?;
        self.0 = rest;
        digits.parse().ok()
    }

    pub(crate) fn offset(&mut self) -> Option<Offset> {
        self.number().map(Offset)
    }

    pub(crate) fn epoch(&mut self) -> Option<Epoch> {
        self.number().map(Epoch)
    }

    /// A partition's directory name, before the next `literal`.
    pub(crate) fn partition(&mut self, literal: &str) -> Option<Partition> {
        Partition::from_dir_name(self.until(literal)?)
    }

    /// Broker ids with commas, before the next `literal`, as written.
    pub(crate) fn nodes(&mut self, literal: &str) -> Option<Vec<NodeId>> {
        let list = self.until(literal)?;
        if list.trim().is_empty() {
            return Some(Vec::new());
        }
        list.split(',')
            .map(|id| id.trim().parse().ok().map(NodeId))
            .collect()
    }

    /// The same of a Scala set, whose order means nothing: ascending.
    pub(crate) fn node_set(&mut self, literal: &str) -> Option<Vec<NodeId>> {
        let mut nodes = self.nodes(literal)?;
        nodes.sort_unstable();
        Some(nodes)
    }
}

#[cfg(test)]
mod tests {
    use super::Scan;

    #[test]
    fn a_number_ends_where_its_digits_do() {
        for (text, number, rest) in [
            ("12-3", Some(12), "-3"),
            ("-12 x", Some(-12), " x"),
            ("7", Some(7), ""),
            ("-", None, ""),
            ("x1", None, "x1"),
        ] {
            let mut scan = Scan(text);
            assert_eq!(scan.number::<i64>(), number, "{text}");
            assert_eq!(scan.0, rest, "{text}");
        }
    }
}
