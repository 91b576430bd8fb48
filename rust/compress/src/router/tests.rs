//! What small documents are taken for.

use proptest::prelude::*;

use super::*;
use crate::Kind::{Build, Code, Diff, Html, Json, JsonLines, Log, Prose, Search, Table, Text, Tools, Trace};

fn kinds(text: &str) -> Vec<Kind> {
    // Blank lines behind JSON are a part of their own, which nobody asks for.
    let parts = parts(text, &Hints::default());
    parts
        .iter()
        .filter(|part| !text.get(part.range.clone()).unwrap_or_default().trim().is_empty())
        .map(|part| part.kind)
        .collect()
}

fn are(kind: Kind, documents: &[&str]) {
    for document in documents {
        assert_eq!(kinds(document), [kind], "{document}");
    }
}

#[test]
fn what_parses_is_json_however_it_is_laid_out() {
    are(
        Json,
        &[
            r#"{"a": 1}"#,
            "[1, 2, 3]\n",
            "  [\n  {\"id\": 1, \"note\": \"see src/a.rs:3: x\"},\n  {\"id\": 2, \"note\": \"ERROR 2026-01-01 10:00:00\"}\n]\n",
            "[]",
            "{\r\n  \"Text\": \"```\\nfn main() {}\\n```\"\r\n}\r\n",
            r#"{"tools": ["hammer", "saw"]}"#,
            r#"{"tools": [{"name": "hammer"}]}"#,
        ],
    );
}

#[test]
fn lines_that_parse_are_json_lines() {
    are(
        JsonLines,
        &[
            "{\"a\": 1}\n{\"a\": 2}\n",
            "{\"level\":\"info\"}\n{\"level\":\"error\"}\n\n{\"level\":\"info\"}",
            "[1, 2]\n[3, 4]\n[5, 6]",
            &(0..20)
                .map(|at| if at == 7 { "oops\n".to_owned() } else { format!("{{\"n\": {at}}}\n") })
                .collect::<String>(),
        ],
    );
}

#[test]
fn a_list_of_tools_is_known_by_its_schemas() {
    are(
        Tools,
        &[
            r#"{"tools": [{"name": "read", "description": "Reads.", "inputSchema": {"type": "object"}}]}"#,
            r#"{"jsonrpc": "2.0", "id": 1, "result": {"tools": [{"name": "a", "inputSchema": {}}]}}"#,
        ],
    );
}

#[test]
fn times_and_levels_make_a_log() {
    are(
        Log,
        &[
            "2026-03-01 10:00:00 INFO started\n2026-03-01 10:00:01 WARN slow\n",
            "2026-03-01T10:00:00.123Z [error] boom\n2026-03-01T10:00:01.000Z [info] fine\n",
            "Mar  1 10:00:00 host sshd[12]: Accepted publickey\nMar  1 10:00:05 host sshd[12]: session opened\n",
            "10.0.0.1 - - [01/Mar/2026:10:00:00 +0000] \"GET / HTTP/1.1\" 200 12\n10.0.0.2 - - [01/Mar/2026:10:00:01 +0000] \"GET /a HTTP/1.1\" 404 0\n",
            "081109 203615 148 INFO dfs.DataNode: block served\n081109 203807 222 INFO dfs.DataNode: block served\n",
            "[Sun Dec 04 04:47:44 2005] [notice] workerEnv.init() ok\n[Sun Dec 04 04:47:45 2005] [error] mod_jk child\n",
            "I0301 10:00:00.000001    12 server.go:12] listening\nE0301 10:00:01.000001    12 server.go:99] closed\n",
            "time=2026-03-01T10:00:00Z level=info msg=ready\ntime=2026-03-01T10:00:02Z level=error msg=gone\n",
            "INFO  starting up\nINFO  listening on 80\nERROR could not bind\n",
            "1709287200.123 cpu0 idle\n1709287201.456 cpu1 busy\n1709287202.001 cpu0 idle\n",
            "2026-03-01 10:00:00 ОШИБКА: нет соединения\n2026-03-01 10:00:01 соединение восстановлено\n",
            "2026-03-01 10:00:00 数据库 连接失败\n2026-03-01 10:00:03 数据库 连接成功\n",
            "2026-03-01 10:00:00 ERROR request failed\nTraceback (most recent call last):\n  File \"a.py\", line 3, in f\n    g()\nValueError: bad\n2026-03-01 10:00:01 INFO next\n2026-03-01 10:00:02 INFO next\n",
        ],
    );
}

#[test]
fn what_compilers_and_test_runners_print_is_a_build() {
    are(
        Build,
        &[
            "   Compiling serde v1.0\n   Compiling app v0.1.0\nerror[E0382]: borrow of moved value\n --> src/main.rs:4:5\n",
            "=== RUN   TestA\n--- PASS: TestA (0.00s)\n=== RUN   TestB\n--- FAIL: TestB (0.00s)\nFAIL\n",
            "collected 3 items\n\ntests/test_a.py::test_one PASSED\ntests/test_a.py::test_two FAILED\n",
            "npm WARN deprecated x@1.0.0\nnpm ERR! code ERESOLVE\nnpm ERR! could not resolve\n",
            "gcc -c -o a.o a.c\na.c:12:5: error: expected ';'\nmake: *** [a.o] Error 1\n",
            "running 2 tests\ntest a ... ok\ntest b ... FAILED\n",
        ],
    );
}

#[test]
fn frames_make_a_trace() {
    are(
        Trace,
        &[
            "Traceback (most recent call last):\n  File \"/app/main.py\", line 10, in <module>\n    run()\n  File \"/app/run.py\", line 3, in run\n    raise ValueError('x')\nValueError: x\n",
            "Exception in thread \"main\" java.lang.IllegalStateException: closed\n\tat com.acme.Pool.get(Pool.java:42)\n\tat com.acme.Main.main(Main.java:7)\nCaused by: java.io.IOException: gone\n\t... 2 more\n",
            "TypeError: x is not a function\n    at run (/srv/app.js:10:5)\n    at Object.<anonymous> (/srv/app.js:20:1)\n    at node:internal/main:1:1\n",
            "panic: runtime error: index out of range\n\ngoroutine 1 [running]:\nmain.main()\n\t/srv/main.go:8 +0x1d\n",
            "thread 'main' panicked at src/main.rs:3:5:\nboom\nstack backtrace:\n   0: std::panicking::begin_panic\n   1: app::main\n",
        ],
    );
}

#[test]
fn a_hunk_makes_a_diff() {
    are(
        Diff,
        &[
            "diff --git a/x.rs b/x.rs\nindex 1..2 100644\n--- a/x.rs\n+++ b/x.rs\n@@ -1,3 +1,3 @@ fn main\n a\n-b\n+c\n d\n",
            "--- old.txt\n+++ new.txt\n@@ -1 +1 @@\n-one\n+two\n\\ No newline at end of file",
            "diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1,2 +1,3 @@\n a\n\n+{\ndiff --git a/y b/y\n--- a/y\n+++ b/y\n@@ -4,1 +4,1 @@\n-2026-01-01 10:00:00 INFO x\n+2026-01-01 10:00:00 INFO y\n",
            "@@ -10,2 +10,2 @@ class A:\n     x = 1\n-    y = 2\n+    y = 3\n",
        ],
    );
}

#[test]
fn places_and_lines_are_hits_of_a_search() {
    are(
        Search,
        &[
            "src/a.rs:12:    let x = 1;\nsrc/a.rs:19:    x += 1;\nsrc/b/c.rs:3:use x;\n",
            "./docs/limits.md:4:A rate\n./docs/limits.md:90:no rate\n",
            "C.java:1:2026-01-01 10:00:00\nlib/D.java:44:return;\n",
        ],
    );
}

#[test]
fn columns_that_agree_make_a_table() {
    are(
        Table,
        &[
            "name,age,city\nann,31,Rome\nbob,44,Oslo\n",
            "id\tname\n1\tann\n2\tbob\n",
            "id;name;note\n1;ann;\"a; b\"\n2;bob;c\n",
            "| a | b |\n|---|--:|\n| 1 | 2 |\n| 3 | 4 |\n",
            "NAME      READY   STATUS    AGE\nweb-1     1/1     Running   3d\nweb-2     0/1     Pending   1h\ndb-0      1/1     Running   9d\n",
            "PID  USER     CPU  COMMAND\n  1  root     0.0  init\n 42  postgres 1.5  postgres\n 77  www      9.1  nginx\n",
        ],
    );
}

#[test]
fn statements_make_code() {
    are(
        Code,
        &[
            "fn main() {\n    let x = 1;\n    println!(\"{x}\");\n}\n",
            "import os\n\n\ndef read(path):\n    with open(path) as file:\n        return file.read()\n\n\nclass A:\n    x = 1\n",
            "const a = require('a');\nfunction f(x) {\n  return x + 1;\n}\nmodule.exports = { f };\n",
            "package main\n\nimport \"fmt\"\n\nfunc main() {\n\tfmt.Println(\"x\")\n}\n",
            "#include <stdio.h>\n\nint main(void) {\n    // says hello\n    printf(\"hello\\n\");\n    return 0;\n}\n",
        ],
    );
}

#[test]
fn sentences_make_prose() {
    are(
        Prose,
        &[
            "The river rose for three days. Nobody in the village slept, and the bridge was closed at noon.\n",
            "# Limits\n\nA call that waits too long is refused.\n\n- tenants come first\n- then the classes\n",
            "Der Fluss stieg drei Tage lang. Niemand im Dorf schlief.\n\nAm Mittag wurde die Brücke gesperrt, weil das Wasser stieg.\n",
            "Река поднималась три дня. Никто в деревне не спал, и в полдень мост закрыли.\n",
            "河水连续上涨了三天。村里没有人睡觉，中午大桥关闭了。\n",
        ],
    );
}

#[test]
fn tags_make_html() {
    are(
        Html,
        &[
            "<!DOCTYPE html>\n<html><body><p>Hello</p></body></html>",
            "<?xml version=\"1.0\"?>\n<a><b/></a>",
            "<div>\n<p>One</p>\n<p>Two</p>\n</div>\n",
        ],
    );
}

#[test]
fn anything_else_is_text() {
    are(Text, &["a", "x = 1\ny\nz", "!!! ??? ***\n%%% &&&\n"]);
    assert_eq!(parts("", &Hints::default()), [Part { kind: Text, range: 0..0 }]);
}

#[test]
fn a_mixed_text_is_cut_where_its_parts_meet() {
    let fenced = "Run this to see how the pool stands at the moment:\n\n```python\nimport pool\nprint(pool.stats())\n```\n\nIt prints what is open and what waits.\n";
    assert_eq!(kinds(fenced), [Prose, Code, Prose]);
    let object = "The server answered this when it was asked again:\n{\n  \"state\": \"parked\",\n  \"tries\": 3\n}\nNobody knows why it was parked that day.\n";
    assert_eq!(kinds(object), [Prose, Json, Prose]);
    let table = "These are the figures of the last week in one place:\n\n| day | calls |\n|---|---|\n| mon | 3 |\n\nThey are better than those of the week before.\n";
    assert_eq!(kinds(table), [Prose, Table, Prose]);
    let log = "2026-03-01 10:00:00 INFO sent\n2026-03-01 10:00:00 INFO body follows\n{\n  \"a\": 1,\n  \"b\": 2\n}\n2026-03-01 10:00:01 INFO done\n2026-03-01 10:00:01 INFO closed\n";
    assert_eq!(kinds(log), [Log, Json, Log]);
    let diff = "Here is what I would change in that file, line by line:\n\n--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n";
    assert_eq!(kinds(diff), [Prose, Diff]);
    let fenced_log = "This is what the service said before it stopped working:\n\n```\n2026-03-01 10:00:00 ERROR no disk\n2026-03-01 10:00:01 ERROR stop\n```\n";
    // With so little prose around them the fences are nobody's.
    assert_eq!(kinds(fenced_log), [Prose, Text, Log, Text]);
}

#[test]
fn what_a_test_runner_shows_of_the_source_is_a_part_of_the_build() {
    let passed: Vec<String> = (0..30).map(|at| format!("tests/a/test_b.py::test_{at} PASSED [{at:3}%]\n")).collect();
    let passed = passed.concat();
    let shown = "\n____ test_31 ____\n\n    def test_31():\n        got = run(83)\n>       assert got == 561\nE       assert 83 == 561\n\ntests/a/test_b.py:110: AssertionError\n";
    assert_eq!(kinds(&format!("{passed}{}", shown.repeat(3))), [Build]);
}

#[test]
fn a_table_whose_columns_hold_times_is_no_log() {
    let processes: Vec<String> = (0..30)
        .map(|at| format!("root     {:5}     2  0 10:01 ?        00:00:0{} [kworker/{at}]\n", 900 + at, at % 10))
        .collect();
    let processes = processes.concat();
    assert_eq!(kinds(&format!("UID        PID  PPID  C STIME TTY          TIME CMD\n{processes}")), [Table]);
    let aligned: Vec<String> = (0..30).map(|at| format!("2026-03-01 10:00:{at:02} INFO  store   wrote\n")).collect();
    let aligned = aligned.concat();
    assert_eq!(kinds(&aligned), [Log]);
}

#[test]
fn what_a_compiler_says_with_the_source_that_it_shows_is_a_build() {
    let rust = "error[E0308]: mismatched types\n --> src/main.rs:2:24\n  |\n2 | fn f(a: &str) -> u32 { a.len() }\n  |                  ---   ^^^^^^^ expected `u32`\n  |\n  = note: expected because of return type\n\n";
    assert_eq!(kinds(&format!("   Compiling x v0.1.0\n{}", rust.repeat(3))), [Build]);
    let c = "t.c: In function 'f':\nt.c:2:23: error: 'b' undeclared\n    2 | int f(int a) { return b; }\n      |                       ^\nt.c:2:23: note: each is reported once\n";
    assert_eq!(kinds(c), [Build]);
    // Rows of a table look so, too.
    assert_ne!(kinds(" id | name\n----+------\n  1 | ann\n  2 | bob\n  3 | eve\n"), [Build]);
}

#[test]
fn what_installs_packages_is_a_build_and_settings_with_comments_are_code() {
    let packages: Vec<String> =
        (0..9).map(|at| format!("Unpacking libx{at} (1.{at}-2) ...\nSetting up libx{at} (1.{at}-2) ...\n")).collect();
    let packages = packages.concat();
    assert_eq!(kinds(&packages), [Build]);
    let settings = "# Where everything is kept\n[ca]\ndir = ./demo\n# The certificate of the house\ncert\t= $dir/a.pem\nserial = $dir/serial\n";
    assert_eq!(kinds(settings), [Code]);
}

#[test]
fn commits_are_one_part_with_their_messages_files_and_changes() {
    let commit = "commit b121fbd6b310204cd83d06bf3d8e725565b49bd7\nAuthor: Ann <a@b.example>\nDate:   Mon Nov 23 00:28:35 2026 +0000\n\n    The gate opens\n\n";
    let files = " src/a.rs | 12 +++++----\n 1 file changed, 7 insertions(+), 5 deletions(-)\n\n";
    let change = "diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n\n";
    for text in [commit.repeat(4), format!("{commit}{files}").repeat(3), format!("{commit}{change}").repeat(3)] {
        assert_eq!(kinds(&text), [Diff], "{text}");
    }
    assert_ne!(kinds("commit b121fbd6b310\nand then nothing else was said of it.\n"), [Diff]);
}

#[test]
fn a_hint_settles_what_the_text_leaves_open_and_nothing_else() {
    let told = |text, name| parts(text, &Hints { name, mime: "" }).iter().map(|part| part.kind).collect::<Vec<_>>();
    assert_eq!(told("a: 1\nb: 2", "settings.yaml"), [Code]);
    assert_eq!(told("{\"a\": 1}", "x.rs"), [Json]);
    assert_eq!(told("name,age,city\nann,31,Rome\nbob,44,Oslo", "x.md"), [Table]);
}

proptest! {
    #[test]
    fn parts_joined_by_line_ends_are_the_text(text in "(```|\\{|\\[|@@ -1,9 \\+1,2 @@|--- |\\||,|\t|\\PC{0,9}|\r?\n){0,40}") {
        let parts = parts(&text, &Hints::default());
        let joined: Vec<&str> = parts.iter().map(|part| &text[part.range.clone()]).collect();
        prop_assert_eq!(joined.join("\n"), text);
    }
}

#[test]
fn no_text_takes_more_than_linear_time() {
    let hostile: [fn(usize) -> String; 7] = [
        |size| "[\n".repeat(size / 2),
        |size| "{\"a\":[\n".repeat(size / 7),
        |size| "```x\n".repeat(size / 5),
        |size| "--- a\n+++ b\n".repeat(size / 12),
        |size| "@@ -1,99999999 +1,99999999 @@\n".repeat(size / 30),
        |size| "a".repeat(size),
        |size| format!("[{}\n", "[0],\n".repeat(size / 5)),
    ];
    let timed = |text: &str| {
        let begun = std::time::Instant::now();
        parts(text, &Hints::default());
        begun.elapsed().as_secs_f64()
    };
    for make in hostile {
        let (short, long) = (make(20_000), make(320_000));
        let (short, long) = (timed(&short).min(timed(&short)), timed(&long));
        assert!(long < short * 16.0 * 5.0 + 0.02, "{} {short} {long}", make(40));
    }
}

#[test]
fn a_line_that_is_nearly_all_of_it_is_chosen_from_as_prose_is() {
    let rows: Vec<String> = (0..40).map(|at| format!("{{'id': {at}, 'state': 'paid', 'note': None}}")).collect();
    let printed = format!("[{}]", rows.join(", "));
    assert!(printed.len() > 1_000);
    are(Prose, &[&printed]);
    let short = format!("[{}]", rows.get(..3).unwrap_or_default().join(", "));
    are(Text, &[&short]);
    let hints = Hints { name: "rows.sql", ..Hints::default() };
    assert_eq!(parts(&printed, &hints).first().map(|part| part.kind), Some(Code));
}
