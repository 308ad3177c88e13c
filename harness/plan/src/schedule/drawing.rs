//! Faults drawn from a palette: when, for how long, which.
//!
//! The times come first, in lanes: within a lane faults follow each other, quiet, hold, quiet, hold;
//! there are as many lanes as faults may be open at once. Then each time is given a fault that the
//! budget allows beside what is open then. What a seed means never changes: where a plan asks for
//! nothing of this module's further ways, the draws are those of the first release.

use std::time::Duration;

use crate::ask::Ask;
use crate::model::{Action, Budget, Palette, Shift, Step, When};
use crate::seed::{Seed, Stream};

/// How many faults are sure to fit one after the other, each with the least quiet and hold.
pub(crate) fn capacity(palette: &Palette) -> u64 {
    densest(palette).iter().map(|mix| mix.holds(palette)).sum()
}

/// The steps that a seed means.
///
/// Times count from the start of the storm; a heal that takes long (a broker starts again) eats into
/// the quiet time after it, and never moves a later fault unless it takes longer than that.
pub(super) fn drawn(palette: &Palette, budget: &Budget, seed: Seed) -> Vec<Step> {
    let mut lanes: Vec<Lane> = (0..palette.at_once)
        .map(|lane| Lane::new(seed, lane))
        .collect();
    let mut faults = seed.stream("fault");
    let mut kinds = seed.stream("kinds");
    let windows = windows(palette, seed);
    let counts = shared_out(palette, &windows);
    let mut steps = Vec::new();
    for (window, count) in windows.iter().zip(counts) {
        let mix = match &palette.shift {
            None => palette.faults.clone(),
            Some(shift) => some_kinds(&palette.faults, shift.kinds, &mut kinds),
        };
        // Where a budget leaves no room for so many at once, so many faults fit into fewer lanes;
        // into one they always do.
        let placed = (1..=lanes.len()).rev().find_map(|open| {
            let times = lanes[..open].iter_mut().enumerate();
            let times = times.map(|(lane, streams)| {
                let share = count.map(|count| (count + open - 1 - lane) / open);
                streams.times(palette, *window, share)
            });
            let mut room = Room {
                palette,
                budget,
                window: *window,
                exact: count.is_some(),
                placed: Vec::new(),
            };
            room.fill(times.collect(), &mix, &mut faults)
                .then_some((open, room.placed))
        });
        let (open, placed) = placed.unwrap_or_default();
        steps.extend(placed.into_iter().map(|one| one.step(open > 1)));
    }
    steps
}

/// A time in which one mix is drawn from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Window {
    pub(super) from: Duration,
    pub(super) until: Duration,
}

impl Window {
    fn length(self) -> Duration {
        self.until - self.from
    }

    /// How many faults fit into it one after the other.
    fn holds(self, palette: &Palette) -> u64 {
        let one = palette.quiet.0 + palette.hold.0;
        u64::try_from(self.length().as_nanos() / one.as_nanos().max(1)).unwrap_or(u64::MAX)
    }
}

/// The mixes of a storm: one as long as the storm, or drawn ones with rests between.
pub(super) fn windows(palette: &Palette, seed: Seed) -> Vec<Window> {
    let Some(shift) = &palette.shift else {
        return densest(palette);
    };
    let mut lengths = seed.stream("mix");
    let drawn = laid_out(palette, || {
        (lengths.duration(shift.every), lengths.duration(shift.rest))
    });
    let room: u64 = drawn.iter().map(|mix| mix.holds(palette)).sum();
    match palette.count {
        Some(count) if room < u64::from(count) => densest(palette),
        Some(_) | None => drawn,
    }
}

/// The longest mixes with the shortest rests.
fn densest(palette: &Palette) -> Vec<Window> {
    let whole = Window {
        from: Duration::ZERO,
        until: palette.length,
    };
    match &palette.shift {
        None => vec![whole],
        Some(Shift { every, rest, .. }) => laid_out(palette, || (every.1, rest.0)),
    }
}

fn laid_out(palette: &Palette, mut next: impl FnMut() -> (Duration, Duration)) -> Vec<Window> {
    let mut windows = Vec::new();
    let mut from = Duration::ZERO;
    while from < palette.length {
        let (length, rest) = next();
        let until = (from + length).min(palette.length);
        let window = Window { from, until };
        if window.holds(palette) > 0 {
            windows.push(window);
        }
        from = until + rest;
    }
    windows
}

/// How many faults each window gets, where a number was asked for: one by one to the window that
/// has most time for a further one, and room.
fn shared_out(palette: &Palette, windows: &[Window]) -> Vec<Option<usize>> {
    let Some(count) = palette.count else {
        return vec![None; windows.len()];
    };
    let mut counts = vec![0usize; windows.len()];
    for _ in 0..count {
        let free = (0..windows.len()).filter(|i| (counts[*i] as u64) < windows[*i].holds(palette));
        let time = |i: usize| windows[i].length() / (counts[i] as u32 + 1);
        // `max_by_key` takes the last of equals; the first is meant.
        if let Some(most) = free.rev().max_by_key(|i| time(*i)) {
            counts[most] += 1;
        }
    }
    counts.into_iter().map(Some).collect()
}

/// So many different ones, drawn by weight.
fn some_kinds(faults: &[(Ask, u32)], kinds: u32, stream: &mut Stream) -> Vec<(Ask, u32)> {
    let weights = faults.iter().map(|(_, weight)| *weight);
    let mut left: Vec<(usize, u32)> = weights.enumerate().collect();
    let mut mix = Vec::new();
    while mix.len() < kinds as usize {
        let Some(index) = stream.pick_weighted(&left).copied() else {
            break;
        };
        left.retain(|(other, _)| *other != index);
        mix.push(index);
    }
    // In the order of the plan, so that a mix of all kinds is the palette.
    mix.sort_unstable();
    mix.into_iter().map(|index| faults[index].clone()).collect()
}

/// When a fault begins and how long it is held.
type Time = (Duration, Duration);

/// The chance of one lane.
struct Lane {
    holds: Stream,
    quiets: Stream,
}

impl Lane {
    fn new(seed: Seed, index: u32) -> Self {
        let stream = |name: &str| match index {
            0 => seed.stream(name),
            further => seed.stream(&format!("{name}-{further}")),
        };
        Self {
            holds: stream("hold"),
            quiets: stream("quiet"),
        }
    }

    fn times(&mut self, palette: &Palette, window: Window, count: Option<usize>) -> Vec<Time> {
        match count {
            None => self.as_many_as_fit(palette, window),
            Some(count) => self.exactly(count, palette, window),
        }
    }

    /// Quiet, hold, quiet, hold, ... until the next fault would not end within the window.
    fn as_many_as_fit(&mut self, palette: &Palette, window: Window) -> Vec<Time> {
        let mut times = Vec::new();
        let mut now = window.from;
        loop {
            let at = now + self.quiets.duration(palette.quiet);
            let hold = self.holds.duration(palette.hold);
            now = at + hold;
            if now > window.until {
                return times;
            }
            times.push((at, hold));
        }
    }

    /// So many, spread: what is drawn too long is drawn closer to the least, what is left over goes
    /// to the quiet times in equal parts.
    fn exactly(&mut self, count: usize, palette: &Palette, window: Window) -> Vec<Time> {
        let drawn: Vec<(Duration, Duration)> = (0..count)
            .map(|_| {
                let quiet = self.quiets.duration(palette.quiet);
                (quiet, self.holds.duration(palette.hold))
            })
            .collect();
        let sum: Duration = drawn.iter().map(|(quiet, hold)| *quiet + *hold).sum();
        let least = (palette.quiet.0 + palette.hold.0) * count as u32;
        let spare = window.length().saturating_sub(least).as_nanos();
        let above = (sum - least).as_nanos();
        let fitted = |length: Duration, least: Duration| {
            if above <= spare {
                return length;
            }
            let excess = (length - least).as_nanos() * spare / above;
            least + whole_millis(excess)
        };
        let left_over = whole_millis(spare.saturating_sub(above) / (count as u128 + 1));
        let mut now = window.from;
        let times = drawn.into_iter().map(|(quiet, hold)| {
            let at = now + left_over + fitted(quiet, palette.quiet.0);
            let hold = fitted(hold, palette.hold.0);
            now = at + hold;
            (at, hold)
        });
        times.collect()
    }
}

fn whole_millis(nanos: u128) -> Duration {
    Duration::from_millis(u64::try_from(nanos / 1_000_000).unwrap_or(u64::MAX))
}

struct Placed {
    at: Duration,
    hold: Duration,
    ask: Ask,
}

impl Placed {
    fn step(self, meanwhile: bool) -> Step {
        Step {
            when: When::At(self.at),
            action: Action::Fault {
                ask: self.ask,
                hold: Some(self.hold),
                meanwhile: meanwhile && !self.hold.is_zero(),
                required: false,
            },
            name: None,
        }
    }
}

/// A window that is filled with faults.
struct Room<'a> {
    palette: &'a Palette,
    budget: &'a Budget,
    window: Window,
    /// Whether every time must be given a fault.
    exact: bool,
    placed: Vec<Placed>,
}

impl Room<'_> {
    /// Gives every time a fault; one that the budget has no fault for waits, and its lane with it.
    /// False when a fault that must be had no longer fits.
    fn fill(&mut self, mut lanes: Vec<Vec<Time>>, mix: &[(Ask, u32)], faults: &mut Stream) -> bool {
        lanes.iter_mut().for_each(|lane| lane.reverse());
        loop {
            let next = (0..lanes.len()).filter_map(|lane| Some((lanes[lane].last()?.0, lane)));
            let Some((at, lane)) = next.min() else {
                return true;
            };
            let (fitting, free_at) = self.fitting(at, mix);
            if let Some(ask) = faults.pick_weighted(&fitting) {
                let hold = lanes[lane].pop().map_or(Duration::ZERO, |(_, hold)| hold);
                let hold = if ask.leaves_nothing_to_hold() {
                    Duration::ZERO
                } else {
                    hold
                };
                let ask = ask.clone();
                self.placed.push(Placed { at, hold, ask });
                continue;
            }
            let wait = free_at.map_or(self.window.length(), |free| free.saturating_sub(at));
            lanes[lane].iter_mut().for_each(|(at, _)| *at += wait);
            let kept = |(at, hold): &Time| *at + *hold <= self.window.until;
            if self.exact && !lanes[lane].iter().all(kept) {
                return false;
            }
            lanes[lane].retain(kept);
        }
    }

    /// The faults that may begin at this moment, and when the first of those open then is over:
    /// healed, and the least quiet time past.
    fn fitting(&self, at: Duration, mix: &[(Ask, u32)]) -> (Vec<(Ask, u32)>, Option<Duration>) {
        let over = |one: &Placed| one.at + one.hold + self.palette.quiet.0;
        let open: Vec<&Placed> = self.placed.iter().filter(|one| over(one) > at).collect();
        let fits = |ask: &Ask| {
            let beside = open.iter().map(|one| &one.ask);
            !open.iter().any(|one| one.ask == *ask)
                && self.budget.allows(beside.chain([ask])).is_ok()
        };
        let fitting = mix.iter().filter(|(ask, _)| fits(ask)).cloned().collect();
        (fitting, open.into_iter().map(over).min())
    }
}
