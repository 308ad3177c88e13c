//! The known word nearest to an unknown one, for "did you mean".
//!
//! It only suggests: nothing is ever accepted because it was near enough.

/// The candidate nearest to `word`, if one is near enough to be a slip of the fingers: at most a
/// third of its letters differ.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(word, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= (candidate.chars().count() / 3).max(1))
        .min()
        .map(|(_, candidate)| candidate)
}

/// `; did you mean `x`?` where something is near, else nothing.
pub(crate) fn hint(nearest: Option<&str>) -> String {
    nearest.map_or_else(String::new, |near| format!("; did you mean `{near}`?"))
}

/// `a`, `b` or `c`, each in backquotes.
pub(crate) fn any_of<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    let quoted: Vec<String> = words.into_iter().map(|word| format!("`{word}`")).collect();
    match quoted.split_last() {
        None => "nothing".to_owned(),
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} or {last}", rest.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_recognised_and_a_stranger_is_not() {
        let words = ["topics", "storm", "phases"];
        assert_eq!(nearest("topcs", words), Some("topics"));
        assert_eq!(nearest("sotrm", words), Some("storm"));
        assert_eq!(nearest("weather", words), None);
        assert_eq!(any_of(words), "`topics`, `storm` or `phases`");
    }
}
