//! Reading Jepsen's histories: what is understood, and the sentence for everything that is not.

use exchange::foreign::read;
use history::jepsen::{Function, Item, Kind, Scalar};
use proptest::prelude::*;

const INVOKE: &str = "{:type :invoke, :process 0, :f :poll, :value [[:poll]]}";

fn refused(text: &[u8]) -> String {
    match read(text) {
        Ok(history) => panic!(
            "{:?} was read as {history:?}",
            String::from_utf8_lossy(text)
        ),
        Err(error) => error.to_string(),
    }
}

/// A completion of the poll above, with this value.
fn ok(value: &str) -> String {
    format!("{INVOKE}\n{{:type :ok, :process 0, :f :poll, :value {value}}}")
}

#[test]
fn all_of_edn_that_can_stand_in_a_history() {
    let text = r##"
; a comment, commas and spaces
#jepsen.history.Op{:index 3, :time 5 :type :invoke, :process 0, :f :txn, :value [[:send 1 2] [:poll]],
  :error #object["x" 1 {:a [1 2]}] :note "a \"quoted\" \\ \u00e9 text
over two lines" #_(#_ ignored [forms {]) , :ratio 1/2 :chars [\a \newline \u0041 \( \é] :set #{1 2}
  :at #inst "2026-01-01" :inf [##Inf ##-Inf ##NaN] :big 12345678901234567890N :dec 1.5e3M sym 1}
{:index 4 :type :info :process :nemesis :f :kill :value {"n1" [:killed #{1}]}}
{:index 7, :process 0, :f :txn, :type :ok,
 :rebalance-log ({:type :assigned, :keys [1 :k]}), :extra nil,
 :value [[:send 1 [10 2]] [:poll {1 [[10 2] [nil "two"]], :k ()}] [:poll nil]]}
{:index 8 :type :invoke :process -1 :f :assign :value (1 2) :seek-to-beginning? true}
"##;
    let text = text.replace("#_(#_ ignored [forms {])", "#_(#_ ignored [forms {:a 1}])");
    let history = read(text.as_bytes()).expect("all of this is EDN");
    let ops = history.ops();
    assert_eq!(ops.len(), 3);
    let (invoked, done, assigned) = (&ops[0], &ops[1], &ops[2]);
    assert_eq!(
        (invoked.index, invoked.time, invoked.partner()),
        (3, Some(5), Some(1))
    );
    assert_eq!((done.index, done.time, done.kind), (7, None, Kind::Ok));
    assert_eq!(done.partner(), Some(0));
    assert!(done.rebalance_logged && !invoked.rebalance_logged);
    assert_eq!(history.rebalanced(done).len(), 2);
    assert_eq!(assigned.function, Function::Assign);
    assert!(assigned.from_beginning);
    let Item::Polled(word) = history.items(done)[5] else {
        panic!("{:?}", history.items(done));
    };
    assert_eq!(history.key(word), &Scalar::Keyword("k".to_owned()));
    let read: Vec<Scalar> = history
        .items(done)
        .iter()
        .filter_map(|item| match item {
            Item::Read { value, .. } => Some(history.value(*value)),
            _ => None,
        })
        .collect();
    assert_eq!(read, [Scalar::Int(2), Scalar::Text("two".to_owned())]);
}

#[test]
fn one_vector_or_list_may_hold_all_and_nothing_is_a_history_too() {
    for text in ["", " \n ; nothing\n", "[]", "()", "#_ignored"] {
        assert!(read(text.as_bytes()).expect(text).ops().is_empty());
    }
    for text in [
        format!("[{INVOKE}]"),
        format!("({INVOKE})"),
        INVOKE.to_owned(),
    ] {
        assert_eq!(read(text.as_bytes()).expect("a history").ops().len(), 1);
    }
}

#[test]
fn json_lines_are_the_same_maps() {
    let text = concat!(
        r#"{"index":0,"type":"invoke","process":1,"f":"txn","value":[["send",1,2],["poll"]]}"#,
        "\n",
        r#"{"index":1,"type":"info","process":"nemesis","f":"kill","value":{"n1":"\ud83d\ude00"}}"#,
        "\n\n",
        r#"{"index":2,"type":"ok","process":1,"f":"txn","value":[["send",1,[0,2]],["poll",{"1":[[0,2]]}]]}"#,
    );
    let history = read(text.as_bytes()).expect("JSON Lines");
    assert_eq!(history.ops().len(), 2);
    assert_eq!(
        history.key_count(),
        1,
        "\"1\" as a map's name is the number"
    );
}

#[test]
fn equal_values_have_one_spelling() {
    let same = [
        ("5", "5N"),
        ("1.0", "1.00"),
        ("1e1", "10.0"),
        ("+3", "3"),
        ("\\a", "\\u0061"),
    ];
    for (one, other) in same {
        let text = ok(&format!("[[:poll {{1 [[0 {one}] [1 {other}]]}}]]"));
        let history = read(text.as_bytes()).expect(&text);
        let values: Vec<_> = history
            .items(&history.ops()[1])
            .iter()
            .filter_map(|item| match item {
                Item::Read { value, .. } => Some(*value),
                _ => None,
            })
            .collect();
        assert_eq!(values[0], values[1], "{one} {other}");
    }
    let text =
        ok("[[:poll {1 [[0 1] [1 1.0] [2 \"1\"] [3 :1a] [4 nil] [5 -9223372036854775808]]}]]");
    let history = read(text.as_bytes()).expect(&text);
    let mut values: Vec<_> = history
        .items(&history.ops()[1])
        .iter()
        .filter_map(|item| match item {
            Item::Read { value, .. } => Some(*value),
            _ => None,
        })
        .collect();
    assert_eq!(history.value(values[5]), Scalar::Int(i64::MIN));
    values.sort();
    values.dedup();
    assert_eq!(values.len(), 6);
}

/// Text, line, column and reason.
#[test]
fn what_is_no_operation_is_refused_with_its_place() {
    let op = |fields: &str| format!("{{:type :invoke :process 0 :f :poll :value [] {fields}}}");
    let cases: Vec<(String, &str)> = vec![
        (
            "7".into(),
            "line 1, column 1: a history is made of maps, one an operation",
        ),
        (
            format!("[{INVOKE}] {INVOKE}"),
            "line 1, column 59: the history has ended",
        ),
        (
            "{:process 0 :f :poll :value []}".into(),
            "line 1, column 1: this operation has no :type",
        ),
        (
            "{:type :invoke :f :poll :value []}".into(),
            "this operation has no :process",
        ),
        (
            "{:type :invoke :process 0 :value []}".into(),
            "this operation has no :f",
        ),
        (
            "{:type :invoke :process 0 :f :poll}".into(),
            "this operation has no :value",
        ),
        (
            "{:type :okay :process 0 :f :poll :value []}".into(),
            "line 1, column 8: a :type is one of",
        ),
        (
            "{:type \"ok\" :process 0 :f :poll :value []}".into(),
            "a :type is one of",
        ),
        (
            "{:type :info :process :nemesis :type :okay}".into(),
            "this operation has two :type",
        ),
        (
            "{:type :invoke :process 0 :f :write :value []}".into(),
            "line 1, column 30: an :f of a client is one of",
        ),
        (
            "{:type :invoke :process [0] :f :poll :value []}".into(),
            "a :process is a number",
        ),
        (op(":index -1"), "an :index is never negative"),
        (op(":index 1.5"), "an :index is a whole number"),
        (op(":time :now"), "a :time is a whole number of nanoseconds"),
        (
            op(":seek-to-beginning? 1"),
            "a :seek-to-beginning? is true or false",
        ),
        (
            op(":rebalance-log {}"),
            "a :rebalance-log is a sequence of maps",
        ),
        (
            op(":rebalance-log [{:keys 1}]"),
            "the :keys of a rebalance are a sequence",
        ),
        (
            format!("{INVOKE}\n{INVOKE}"),
            "line 2, column 1: process 0 invokes :poll while its :poll is still under way",
        ),
        (
            "{:type :ok :process 0 :f :poll :value []}".into(),
            "process 0 completes :poll without having invoked anything",
        ),
        (
            format!("{INVOKE}\n{{:type :ok :process 0 :f :send :value []}}"),
            "process 0 completes :send, but what it has under way is :poll",
        ),
        (
            format!(
                "{}\n{}",
                op(":index 4"),
                op(":index 4").replace("process 0", "process 1")
            ),
            "line 2, column 1: :index 4 does not come after :index 4",
        ),
        (
            format!(
                "{}\n{}",
                op(":index 4"),
                op("").replace("process 0", "process 1")
            ),
            "this operation has no :index, unlike those before it",
        ),
        (
            format!(
                "{}\n{}",
                op(""),
                op(":index 1").replace("process 0", "process 1")
            ),
            "this operation has an :index, unlike those before it",
        ),
        (ok("{}"), "line 2, column 42: a :value is a sequence"),
        (ok("7"), "a :value is a sequence"),
        (
            ok("[1]"),
            "the :value of :poll is a sequence of micro-operations",
        ),
        (ok("[{}]"), "a micro-operation is a vector"),
        (ok("[[]]"), "a micro-operation begins with :send or :poll"),
        (
            ok("[[:pull]]"),
            "a micro-operation begins with :send or :poll",
        ),
        (ok("[[:send]]"), "a key has no parts"),
        (
            ok("[[:send 1]]"),
            "a send has a value without parts, or [offset value]",
        ),
        (ok("[[:send 1 (0 1)]]"), "a send has a value without parts"),
        (ok("[[:send 1 [0]]]"), "a record is [offset value]"),
        (
            ok("[[:send 1 [0 1 2]]]"),
            "a record is [offset value], and nothing more",
        ),
        (ok("[[:send 1 [0.5 1]]]"), "an offset is a whole number"),
        (ok("[[:send 1 [:x 1]]]"), "an offset is a whole number"),
        (ok("[[:send 1 2 3]]"), "nothing follows what is sent"),
        (ok("[[:poll [1 2]]]"), "what a poll returned is a map"),
        (ok("[[:poll {1 2}]]"), "a key's records are a sequence"),
        (ok("[[:poll {1 [2]}]]"), "a record is [offset value]"),
        (ok("[[:poll {1 [[0 [1]]]}]]"), "a value has no parts"),
        (ok("[[:poll {[1] []}]]"), "a key has no parts"),
        (
            ok("[[:poll {1 [] 1 []}]]"),
            "line 2, column 56: one poll returned the same key twice",
        ),
        (ok("[[:poll {} 1]]"), "nothing follows what a poll returned"),
        (ok("[[:poll #foo {}]]"), "what a poll returned is a map"),
        (
            "{:type :invoke :process 0 :f :assign :value [[:poll]]}".into(),
            "the :value of :assign is a sequence of keys",
        ),
    ];
    for (text, wanted) in cases {
        let said = refused(text.as_bytes());
        assert!(
            said.contains(wanted),
            "{text}\n  said: {said}\n  not:  {wanted}"
        );
        assert!(said.starts_with("line "), "{said}");
    }
}

#[test]
fn what_is_no_edn_is_refused_with_its_place() {
    let cases: Vec<(Vec<u8>, &str)> = vec![
        (
            b"{:type :ok".to_vec(),
            "line 1, column 1: this `{` is never closed",
        ),
        (
            b"[\n{:a [1}".to_vec(),
            "line 2, column 7: `}` stands where `]` must close the `[` of line 2, column 5",
        ),
        (b"}".to_vec(), "`}` closes nothing"),
        (b"{:a}".to_vec(), "the last name in this map has no value"),
        (b"{:a 1 #_ :b}".to_vec(), ""),
        (b"{:a #_}".to_vec(), "`#_` has nothing here to discard"),
        (b"{:a #tag}".to_vec(), "this tag has no form after it"),
        (b"{:a \"b".to_vec(), "this text never ends"),
        (
            b"{:a \"\\q\"}".to_vec(),
            "a backslash before something it cannot escape",
        ),
        (b"{:a \"\\ud800\"}".to_vec(), "half a letter"),
        (b"{:a \"\xff\"}".to_vec(), "this text is not UTF-8"),
        (b"{:a \\nope}".to_vec(), "`\\nope` is no letter"),
        (b"{:a 12x}".to_vec(), "`12x` is no number of EDN"),
        (b"{:a 007}".to_vec(), "is no number of EDN"),
        (b"{:a 1/0}".to_vec(), "is no number of EDN"),
        (b"{:a : b}".to_vec(), "a colon with no name after it"),
        (b"{:a 'b}".to_vec(), "`'` begins no form of EDN"),
        (b"{:a ##Infinite}".to_vec(), "after `##` only Inf"),
        (b"{:a #(b)}".to_vec(), "`#` begins nothing here"),
        (b"{:a #b #c 1}".to_vec(), "a tag before a tag"),
        (
            b"{\"a\": 1".to_vec(),
            "line 1, column 1: this bracket is never closed",
        ),
        (b"{\"a\": 1,}".to_vec(), "a map's name has to be a text"),
        (b"{\"a\" 1}".to_vec(), "`:` is wanted here"),
        (b"{\"a\": 1 \"b\": 2}".to_vec(), "`,` or `}` is wanted here"),
        (b"{\"a\": [1 2]}".to_vec(), "`,` or `]` is wanted here"),
        (b"{\"a\": [1,]}".to_vec(), "is no form of JSON"),
        (b"{\"a\": 01}".to_vec(), "`01` is no form of JSON"),
        (b"{\"a\": nil}".to_vec(), "`nil` is no form of JSON"),
        (b"{\"a\": \"\n\"}".to_vec(), "a bare control character"),
        (
            b"{\"a\": \"\\x\"}".to_vec(),
            "this text is not as JSON wants it",
        ),
    ];
    for (text, wanted) in cases {
        let said = refused(&text);
        assert!(
            said.contains(wanted),
            "{}\n  said: {said}\n  not:  {wanted}",
            text.escape_ascii()
        );
    }
    let two = r#"{"index":0,"type":"info","process":"x"} {"index":1,"type":"info","process":"x"}"#;
    assert!(refused(two.as_bytes()).contains("JSON Lines has one operation a line"));
}

#[test]
fn depth_and_length_have_their_limits() {
    for (open, name) in [
        ("(", "EDN"),
        ("[", "EDN"),
        ("{:a ", "EDN"),
        ("#_(", "EDN"),
        ("#_ ", "EDN"),
    ] {
        let text = format!("{{:type :info {}", open.repeat(200_000));
        let said = refused(text.as_bytes());
        assert!(said.starts_with("line 1, column"), "{name} {open}: {said}");
    }
    let text = format!("{{\"a\":{}", "[".repeat(200_000));
    assert!(refused(text.as_bytes()).contains("forms nest deeper than 256"));
    let text = format!("{{:type :{}", "a".repeat(3 << 20));
    assert!(refused(text.as_bytes()).contains("longer than 1 MiB"));
    let text = format!("{{:type \"{}", "a\n".repeat(2 << 20));
    assert!(refused(text.as_bytes()).contains("longer than 1 MiB"));
}

/// A reader that gives a few bytes at a time must not change what is read.
struct Drip<'a>(&'a [u8], usize);

impl std::io::Read for Drip<'_> {
    fn read(&mut self, room: &mut [u8]) -> std::io::Result<usize> {
        let count = self.1.min(self.0.len()).min(room.len());
        room[..count].copy_from_slice(&self.0[..count]);
        self.0 = &self.0[count..];
        Ok(count)
    }
}

proptest! {
    #[test]
    fn no_bytes_bring_the_reader_down(text in "[\\[\\](){}#_:;\\\\\"',a1 .\n/-]{0,60}", step in 1..9_usize) {
        let whole = read(text.as_bytes()).map(|history| history.ops().len());
        if let Err(error) = &whole {
            let said = error.to_string();
            prop_assert!(said.starts_with("line "), "{}", said);
        }
        // The first block decides whether it is JSON.
        if !text.trim_start().starts_with('{') {
            let dripped = read(Drip(text.as_bytes(), step)).map(|history| history.ops().len());
            prop_assert_eq!(dripped, whole);
        }
    }

    #[test]
    fn a_broken_history_is_read_or_refused(at in 0..400_usize, byte in any::<u8>()) {
        let mut text = format!("{}\n", ok("[[:send 1 [5 2]] [:poll {1 [[5 2] [7 :x]]}]]")).repeat(3).into_bytes();
        let at = at % text.len();
        text[at] = byte;
        let _ = read(text.as_slice());
    }
}
