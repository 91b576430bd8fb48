use proptest::prelude::*;

use super::*;
use crate::{critical, linear::assert_linear};

fn read(block: &str) -> Outline<'_> {
    super::outline(block, Aim::Cut).unwrap()
}

/// What is printed if only signatures are kept.
fn signatures(block: &str) -> String {
    let outline = read(block);
    outline.print(|unit| outline.units[unit].reserve == Some(Reserve::Signature), |_| None, |_| None)
}

#[test]
fn signatures_of_many_languages_are_found_with_what_they_stand_in() {
    for (code, expected) in [
        (
            "import os\n\nclass Pool(Base):\n    \"\"\"Holds them.\"\"\"\n    size = 3\n\n    @property\n    def get(\n        self,\n        name: str,\n    ) -> int:\n        \"\"\"Gets one.\"\"\"\n        def inner(x):\n            return x\n        return inner(1)\n\nasync def main():\n    pass\n",
            "class Pool(Base):\n    @property\n    def get(\n        self,\n        name: str,\n    ) -> int:\nasync def main():",
        ),
        (
            "use std::fmt;\n\n#[derive(Debug)]\npub struct A<'a> {\n    x: &'a str,\n}\n\nimpl<'a> A<'a> {\n    /// Says it.\n    #[must_use]\n    pub(crate) const fn get(&self) -> &'a str {\n        self.x\n    }\n}\n\npub enum E { One, Two }\n",
            "impl<'a> A<'a> {\n    #[must_use]\n    pub(crate) const fn get(&self) -> &'a str {\npub enum E { One, Two }",
        ),
        (
            "const x = require('x');\nexport const go = async (a, b) => {\n  if (a) {\n    b();\n  }\n};\nexport default class Q extends P {\n  constructor(a) {\n    super(a);\n  }\n  async run<T>(a: T): Promise<T> {\n    await this.go(a);\n  }\n}\nfunction f(x) { return x }\n",
            "export const go = async (a, b) => {\nexport default class Q extends P {\n  constructor(a) {\n  async run<T>(a: T): Promise<T> {\nfunction f(x) { return x }",
        ),
        (
            "package main\n\nimport (\n\t\"fmt\"\n)\n\ntype Pool struct {\n\tsize int\n}\n\nfunc (p *Pool) Get(ctx context.Context) (int, error) {\n\tfor i := range p.all() {\n\t\tfmt.Println(i)\n\t}\n}\n",
            "func (p *Pool) Get(ctx context.Context) (int, error) {",
        ),
        (
            "package a.b;\n\nimport java.util.List;\n\npublic final class A {\n    private int x;\n\n    @Override\n    public List<String> names(int a, String b) throws IOException {\n        while (a > 0) {\n            a--;\n        }\n        return null;\n    }\n}\n",
            "public final class A {\n    @Override\n    public List<String> names(int a, String b) throws IOException {",
        ),
        (
            "#include <stdio.h>\n#define MAX 10\n\nint add(int a, int b);\n\nstatic char *name_of(\n    const struct node *n)\n{\n    if (n) {\n        return n->name;\n    }\n    return 0;\n}\n",
            "int add(int a, int b);\nstatic char *name_of(\n    const struct node *n)",
        ),
    ] {
        assert_eq!(signatures(code), expected);
    }
}

#[test]
fn a_line_of_a_configuration_stands_under_its_keys() {
    let yaml = "db:\n  main:\n    host: a.example\n    port: 5432\n  spare:\n    host: b.example\ncache:\n  size: 3\n";
    let outline = read(yaml);
    let at = outline.units.iter().position(|unit| unit.text.contains("5432")).unwrap();
    assert_eq!(outline.print(|unit| unit == at, |_| None, |_| None), "db:\n  main:\n    port: 5432");
    let toml = "name = \"a\"\n\n[deps.one]\nversion = \"1.2\"\n\n[deps.two]\nversion = \"3.4\"\n";
    let outline = read(toml);
    let at = outline.units.iter().position(|unit| unit.text.contains("3.4")).unwrap();
    assert_eq!(outline.print(|unit| unit == at, |_| None, |_| None), "[deps.two]\nversion = \"3.4\"");
}

#[test]
fn what_looks_like_a_signature_in_a_string_is_none() {
    let code = "def f():\n    \"\"\"Use it so:\n\ndef g():\n    pass\n    \"\"\"\n    return 1\n";
    assert_eq!(signatures(code), "def f():");
    assert_eq!(signatures("/* class A {\n fn b() {\n*/\nfn c() {\n}\n"), "fn c() {");
}

fn code() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        "\\PC{0,10}",
        "( {0,8}|\t{1,3})(def|fn|class|impl|func|public void|const|type|struct|if|return|@x|#\\[a\\]|import|//|#) [a-z]{1,5}[(:={\\[]{0,2}\n",
        "[(){}\\[\\]\"'`;:,]{1,4}",
        "(\"\"\"|'''|/\\*|\\*/|//|#)",
        "(\r?\n){1,2} {0,6}",
        Just("7f3a9c1e-55aa-4b1c-9d2e-000000000017".to_owned()),
        "\\[[a-z.]{1,6}\\]\n",
        "[a-z]{1,5}:\n",
    ];
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(128) })]

    #[test]
    fn any_text_is_read_and_all_of_it_is_there(block in code()) {
        let outline = read(&block);
        let mut end = 0;
        for unit in &outline.units {
            prop_assert!(unit.source.start >= end);
            end = unit.source.end;
            prop_assert_eq!(&unit.text, &block[unit.source.clone()]);
        }
        let bare = |text: &str| text.split_whitespace().collect::<String>();
        prop_assert_eq!(bare(&outline.whole()), bare(&block));
        let ids = |text: &str| critical::scan(text).iter().filter(|found| found.kind == critical::Kind::Id).count();
        prop_assert!(ids(&outline.whole()) >= ids(&block));
    }
}

#[test]
fn no_text_takes_more_than_linear_time() {
    let hostile: [fn(usize) -> String; 10] = [
        |size| "a".repeat(size),
        |size| "(\n".repeat(size / 2),
        |size| "@a(\n".repeat(size / 4),
        |size| "'".repeat(size),
        |size| "/*\n".repeat(size / 3),
        |size| "class a:\n ".repeat(size / 10),
        |size| (0..(2 * size).isqrt()).map(|depth| " ".repeat(depth) + "a:\n").collect(),
        |size| "#[\n".repeat(size / 3),
        |size| "import a\n".repeat(size / 9),
        |size| "a b(".repeat(size / 4),
    ];
    assert_linear(&hostile, 4_000, |text| drop(read(text)));
}
