//! Text that others wrote (a broker's error, a topic's name), as pages and messages may show it.
//!
//! It takes nothing away: what would be acted upon is shown as a replacement character.

/// Control characters are shown, never acted upon by whatever reads the text; so are marks that turn
/// its direction, by which a line could pose as another.
pub fn visible(text: &str) -> String {
    let shown = |c: char| match c {
        '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => '\u{fffd}',
        c if c.is_control() => '\u{fffd}',
        c => c,
    };
    text.chars().map(shown).collect()
}

/// The same on one line, which it is without breaks.
pub fn one_line(text: &str) -> String {
    visible(&text.replace(['\n', '\t', '\r'], " "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_acted_upon_and_nothing_is_taken_away() {
        let text = "a\u{1b}[31m\n\u{202e}b\u{2066}\u{7f}é";
        assert_eq!(
            visible(text),
            "a\u{fffd}[31m\u{fffd}\u{fffd}b\u{fffd}\u{fffd}é"
        );
        assert_eq!(one_line("a\tb\r\nc\u{0}"), "a b  c\u{fffd}");
    }
}
