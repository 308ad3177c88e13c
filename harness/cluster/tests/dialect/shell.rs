//! A reader of our scripts: which programs they call, with which options.
//!
//! It understands the part of POSIX sh that our scripts are written in and is no shell: what it
//! does not know it takes for a program, and then the table of programs has no such row.

use std::collections::BTreeSet;

/// A program that is called, with an option; the empty one says only that it is called.
pub type Call = (String, String);

/// Words that begin nothing but a command.
const LEADING: [&str; 13] = [
    "if", "then", "elif", "else", "do", "while", "until", "!", "{", "}", "exec", "done", "fi",
];

/// What the shell does itself.
const BUILTIN: [&str; 22] = [
    "[", ":", ".", "cd", "echo", "printf", "read", "exit", "return", "set", "shift", "trap",
    "kill", "umask", "unset", "export", "wait", "break", "continue", "true", "esac", "pwd",
];

/// Names of functions that a script defines.
pub fn functions(script: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for (at, _) in script.match_indices("()") {
        let before = script.get(..at).unwrap_or("");
        let name = before
            .rsplit(|c: char| !c.is_alphanumeric() && c != '_')
            .next();
        names.extend(name.filter(|name| !name.is_empty()).map(str::to_owned));
    }
    names
}

/// What a script calls. `known` are functions of the scripts that it is put together with.
pub fn calls(script: &str, known: &BTreeSet<String>) -> BTreeSet<Call> {
    let mut found = BTreeSet::new();
    let mut inner = Vec::new();
    let plain = without_substitutions(script, &mut inner);
    for part in inner {
        found.extend(calls(&part, known));
    }
    for command in commands(&tokens(&plain)) {
        found.extend(read(&command, known));
    }
    found
}

/// Takes `$(...)` out, wherever it stands but between single quotes outside of double ones.
fn without_substitutions(script: &str, inner: &mut Vec<String>) -> String {
    let chars: Vec<char> = script.chars().collect();
    let (mut out, mut at, mut double) = (String::new(), 0, false);
    while let Some(&c) = chars.get(at) {
        let next = chars.get(at + 1).copied();
        match c {
            '\\' => {
                out.push(c);
                out.extend(next);
                at += 2;
                continue;
            }
            '#' if !double
                && chars
                    .get(at.wrapping_sub(1))
                    .is_none_or(|b| b.is_whitespace()) =>
            {
                while chars.get(at).is_some_and(|c| *c != '\n') {
                    at += 1;
                }
                continue;
            }
            '"' => double = !double,
            '\'' if !double => {
                let end = (at + 1..chars.len()).find(|i| chars.get(*i) == Some(&'\''));
                let end = end.expect("a quote is closed");
                out.extend(chars.get(at..=end).unwrap_or_default());
                at = end + 1;
                continue;
            }
            '$' if next == Some('(') => {
                let end = closing(&chars, at + 1);
                let text: String = chars.get(at + 2..end).unwrap_or_default().iter().collect();
                match text.strip_prefix('(') {
                    // Arithmetic, which may hold a substitution itself.
                    Some(sum) => drop(without_substitutions(sum, inner)),
                    None => inner.push(text),
                }
                out.push_str("SUBST");
                at = end + 1;
                continue;
            }
            _ => {}
        }
        out.push(c);
        at += 1;
    }
    out
}

/// Where the bracket that opens at `at` closes.
fn closing(chars: &[char], at: usize) -> usize {
    let (mut depth, mut i, mut quote) = (0, at, None);
    while let Some(&c) = chars.get(i) {
        match (quote, c) {
            (Some(q), c) if q == c => quote = None,
            (Some('\''), _) => {}
            (_, '\\') => i += 1,
            (None, '\'' | '"') => quote = Some(c),
            // A substitution between double quotes has quotes of its own.
            (Some('"'), '$') if chars.get(i + 1) == Some(&'(') => i = closing(chars, i + 1),
            (None, '(') => depth += 1,
            (None, ')') => {
                depth -= 1;
                if depth == 0 {
                    return i;
                }
            }
            _ => {}
        }
        i += 1;
    }
    panic!(
        "a bracket is not closed: {}",
        chars.iter().collect::<String>()
    );
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    /// As it stands, quotes included.
    Word(String),
    /// `;`, `&&`, `|`, a line's end, brackets.
    Between(char),
}

fn tokens(plain: &str) -> Vec<Token> {
    let plain = plain.replace("\\\n", " ");
    let (mut tokens, mut lines) = (Vec::new(), plain.split('\n'));
    while let Some(line) = lines.next() {
        let mut line = line.to_owned();
        // A word may go on on the next line while a quote is open.
        while open_quote(&line) {
            line.push('\n');
            line.push_str(lines.next().expect("a quote is closed"));
        }
        words(&line, &mut tokens);
        tokens.push(Token::Between('\n'));
        if let Some((_, mark)) = line.split_once("<<") {
            let mark = mark
                .split([' ', ';', '&', '\n'])
                .next()
                .unwrap_or("")
                .to_owned();
            while lines.next().is_some_and(|line| line != mark) {}
        }
    }
    tokens
}

fn open_quote(text: &str) -> bool {
    let (mut quote, mut skip) = (None, false);
    for c in text.chars() {
        match (quote, c) {
            _ if skip => skip = false,
            (None | Some('"'), '\\') => skip = true,
            (Some(q), c) if q == c => quote = None,
            (None, '\'' | '"') => quote = Some(c),
            _ => {}
        }
    }
    quote.is_some()
}

fn words(line: &str, tokens: &mut Vec<Token>) {
    let (mut word, mut quote, mut skip) = (String::new(), None, false);
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        if skip {
            word.push(c);
            skip = false;
            continue;
        }
        match (quote, c) {
            (None | Some('"'), '\\') => {
                word.push(c);
                skip = true;
            }
            (Some(q), c) => {
                word.push(c);
                if q == c {
                    quote = None;
                }
            }
            (None, '\'' | '"') => {
                word.push(c);
                quote = Some(c);
            }
            // An expansion is part of its word, with whatever stands in it.
            (None, '$') if chars.peek() == Some(&'{') => {
                word.push(c);
                for c in chars.by_ref() {
                    word.push(c);
                    if c == '}' {
                        break;
                    }
                }
            }
            (None, '&') if word.ends_with(['>', '<']) => word.push(c),
            (None, ';' | '&' | '|' | '(' | ')') => {
                push(&mut word, tokens);
                tokens.push(Token::Between(c));
            }
            // A redirection is a word of its own, with what it leads to.
            (None, '<' | '>') => {
                if !word.chars().all(|c| c.is_ascii_digit() || "<>".contains(c)) {
                    push(&mut word, tokens);
                }
                word.push(c);
                while chars.peek() == Some(&' ') {
                    chars.next();
                }
            }
            (None, c) if c.is_whitespace() => push(&mut word, tokens),
            (None, c) => word.push(c),
        }
    }
    push(&mut word, tokens);
}

fn push(word: &mut String, tokens: &mut Vec<Token>) {
    if !word.is_empty() {
        tokens.push(Token::Word(std::mem::take(word)));
    }
}

/// Simple commands: without redirections, assignments before them, and patterns of `case`.
fn commands(tokens: &[Token]) -> Vec<Vec<String>> {
    let (mut all, mut now) = (Vec::new(), Vec::new());
    // For each open `case`: whether a pattern is being read.
    let mut cases: Vec<bool> = Vec::new();
    let mut before = ' ';
    let mut skipping_to_in = false;
    for token in tokens {
        match token {
            Token::Word(word) if skipping_to_in => skipping_to_in = word != "in",
            Token::Word(word) if word == "esac" && now.is_empty() => drop(cases.pop()),
            Token::Word(_) if cases.last() == Some(&true) => {}
            Token::Between(')') if cases.last() == Some(&true) => {
                *cases.last_mut().expect("a case") = false;
            }
            Token::Between(_) if cases.last() == Some(&true) => {}
            Token::Word(word) if word == "case" && now.is_empty() => {
                cases.push(true);
                skipping_to_in = true;
            }
            Token::Word(word) if now.is_empty() && LEADING.contains(&word.as_str()) => {}
            Token::Word(word) if now.is_empty() && is_assignment(word) => {}
            Token::Word(word) if is_redirection(word) => {}
            Token::Word(word) => now.push(word.clone()),
            Token::Between(c) => {
                if *c == ';'
                    && before == ';'
                    && let Some(pattern) = cases.last_mut()
                {
                    *pattern = true;
                }
                // `name()` only defines.
                if *c == '(' {
                    now.clear();
                }
                all.extend((!now.is_empty()).then(|| std::mem::take(&mut now)));
            }
        }
        before = match token {
            Token::Between(c) => *c,
            Token::Word(_) => ' ',
        };
    }
    all.extend((!now.is_empty()).then_some(now));
    all
}

fn is_assignment(word: &str) -> bool {
    let name = word.split('=').next().unwrap_or("");
    word.contains('=')
        && name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

fn is_redirection(word: &str) -> bool {
    let rest = word.trim_start_matches(|c: char| c.is_ascii_digit());
    rest.starts_with(['<', '>'])
}

/// The program of a command and its options.
fn read(command: &[String], known: &BTreeSet<String>) -> Vec<Call> {
    let Some((first, rest)) = command.split_first() else {
        return Vec::new();
    };
    let name = first.trim_matches('"');
    let is_rule = rest.iter().any(|word| word == "-j");
    match name {
        "$root" => return read(rest, known),
        "ipt" => return options("iptables", rest, known),
        "tcq" => return options("tc", rest, known),
        "for" | "local" => return Vec::new(),
        // A rule that is handed to whoever writes it.
        "$1" | "$rule" | "need" | "write" if is_rule => return options("iptables", rest, known),
        "command" => return Vec::new(),
        _ if name.starts_with('$') || BUILTIN.contains(&name) => return Vec::new(),
        // A function that is given a command's words as arguments.
        _ if known.contains(name) => return Vec::new(),
        _ => {}
    }
    options(name, rest, known)
}

fn options(program: &str, rest: &[String], known: &BTreeSet<String>) -> Vec<Call> {
    let mut found = vec![(program.to_owned(), String::new())];
    // What these are given is a command itself.
    if let "timeout" | "setsid" | "env" = program {
        let skip = usize::from(program == "timeout");
        let inner = rest.get(skip..).unwrap_or_default();
        let inner: Vec<String> = inner
            .iter()
            .skip_while(|w| is_assignment(w))
            .cloned()
            .collect();
        found.extend(read(&inner, known));
        return found;
    }
    for word in rest {
        if word == "--" {
            break;
        }
        if program == "dd"
            && let Some((key, value)) = word.split_once('=')
        {
            // Its operands are its options; of conv and the flags the values count as well.
            let is_named = ["conv", "iflag", "oflag"].contains(&key);
            let values = value.split(',').filter(|_| is_named);
            found.extend(values.map(|value| (program.to_owned(), format!("{key}={value}"))));
            found.extend((!is_named).then(|| (program.to_owned(), key.to_owned())));
        }
        let word = word.split('=').next().unwrap_or("");
        let long = word.starts_with("--") && word.len() > 2;
        let short = word.len() > 1 && word.starts_with('-') && !long;
        let letters = word.trim_start_matches('-');
        let is_plain = letters
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || c == '-');
        if !is_plain || letters.is_empty() || (short && letters.parse::<u64>().is_ok()) {
            continue;
        }
        let whole = ["find", "iptables", "iptables-restore", "tc", "ip", "java"].contains(&program);
        if long || (short && whole) {
            found.push((program.to_owned(), word.to_owned()));
        } else if short {
            // What follows the letter is its value: `-c1-64`, `-An`.
            let most = if ["cut", "od"].contains(&program) {
                1
            } else {
                9
            };
            let each = letters
                .chars()
                .take(most)
                .map(|c| (program.to_owned(), format!("-{c}")));
            found.extend(each);
        }
    }
    found
}
