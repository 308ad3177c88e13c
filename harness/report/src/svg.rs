//! Small helpers for drawing: coordinates as text, axes with round steps.

/// A coordinate with one decimal: enough for a screen, short in the file, the same everywhere.
pub fn c(value: f64) -> String {
    let text = format!("{value:.1}");
    text.strip_suffix(".0").map_or(text.clone(), str::to_owned)
}

/// How wide a text of this many characters is at 12 px, generously.
pub fn width_of(text: &str) -> f64 {
    text.chars().count() as f64 * 6.7
}

/// The same for bold text.
pub fn bold_width_of(text: &str) -> f64 {
    text.chars().count() as f64 * 7.5
}

/// A step of 1, 2 or 5 times a power of ten, or of minutes, so that about `wanted` fit into `length`.
pub fn time_step(seconds: f64, wanted: f64) -> u64 {
    const STEPS: [u64; 14] = [
        1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1_800, 3_600, 7_200, 21_600,
    ];
    STEPS
        .into_iter()
        .find(|step| seconds / *step as f64 <= wanted)
        .unwrap_or(86_400)
}

/// Linear map from values to pixels.
#[derive(Debug, Clone, Copy)]
pub struct Scale {
    from: f64,
    to: f64,
    low: f64,
    high: f64,
}

impl Scale {
    /// Maps `[from, to]` to `[low, high]`; an empty domain is widened to one.
    pub fn new(from: f64, to: f64, low: f64, high: f64) -> Self {
        let to = if to > from { to } else { from + 1.0 };
        Self {
            from,
            to,
            low,
            high,
        }
    }

    /// The pixel of a value, kept inside the drawing.
    pub fn at(&self, value: f64) -> f64 {
        let inside = value.clamp(self.from, self.to);
        self.low + (inside - self.from) / (self.to - self.from) * (self.high - self.low)
    }

    /// The first value of the domain.
    pub fn first(&self) -> f64 {
        self.from
    }

    /// The last value of the domain.
    pub fn last(&self) -> f64 {
        self.to
    }

    /// Whether a value lies inside.
    pub fn holds(&self, value: f64) -> bool {
        (self.from..=self.to).contains(&value)
    }
}
