//! Noise of many shapes, each night after night the same: drawn from a seed.

#![allow(dead_code)] // Each test file uses its own part.

/// Numbers that look random (splitmix64).
pub struct Draw(pub u64);

impl Draw {
    /// Between 0 and 1, neither of them.
    pub fn share(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^= z >> 31;
        ((z >> 11) as f64 + 0.5) / (1u64 << 53) as f64
    }

    /// Normal, around 0 with a deviation of 1.
    pub fn normal(&mut self) -> f64 {
        let radius = (-2.0 * self.share().ln()).sqrt();
        radius * (std::f64::consts::TAU * self.share()).cos()
    }

    /// Student's t with so many degrees: the fewer, the heavier its tails.
    pub fn student(&mut self, degrees: u32) -> f64 {
        let squares: f64 = (0..degrees).map(|_| self.normal().powi(2)).sum();
        self.normal() / (squares / f64::from(degrees)).sqrt()
    }

    fn one_in(&mut self, chance: f64) -> bool {
        self.share() < chance
    }
}

/// A shape of noise around 1, with its name.
pub type Shape = (&'static str, fn(&mut Draw) -> f64);

/// Stationary noise: what a figure does while nothing changes.
pub const SHAPES: [Shape; 14] = [
    ("normal, 5 %", |d| 1.0 + 0.05 * d.normal()),
    ("normal, 25 %", |d| 1.0 + 0.25 * d.normal()),
    ("even", |d| 0.7 + 0.6 * d.share()),
    ("heavy tails (t, 2 degrees)", |d| 1.0 + 0.1 * d.student(2)),
    ("heaviest tails (Cauchy)", |d| 1.0 + 0.1 * d.student(1)),
    ("skewed (log-normal)", |d| (0.6 * d.normal()).exp()),
    ("skewed (exponential)", |d| -d.share().ln()),
    ("skewed, heavy (Pareto)", |d| d.share().powf(-0.5)),
    ("quantised", |d| {
        (4.0 * (1.0 + 0.12 * d.normal())).round() / 4.0
    }),
    ("now and then a step", |d| {
        if d.one_in(0.1) { 1.25 } else { 1.0 }
    }),
    ("mostly nothing", |d| if d.one_in(0.15) { 2.0 } else { 0.0 }),
    ("two levels", |d| {
        let level = if d.one_in(0.3) { 1.5 } else { 1.0 };
        level + 0.03 * d.normal()
    }),
    ("outliers, 1 in 20", |d| {
        let value = 1.0 + 0.05 * d.normal();
        if d.one_in(0.05) { 3.0 * value } else { value }
    }),
    ("outliers both ways, 1 in 5", |d| {
        let value = 1.0 + 0.05 * d.normal();
        match d.share() {
            high if high < 0.1 => 2.0 * value,
            low if low < 0.2 => 0.1 * value,
            _ => value,
        }
    }),
];
