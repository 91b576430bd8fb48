use omnimind_compress::{
    Kind,
    forms::{
        outline,
        tools::{find, prune, prune_one, signature, signatures},
    },
    outline::Aim,
    tokens::count,
};

use crate::values::Dice;

const LIST: &str = r##"{"tools":[
 {"name":"read_file","title":"Read a file","description":"Read  a file.\n\n   Lines count from 1, e.g. 3.5. More.","icons":[],
  "inputSchema":{"$schema":"http://json-schema.org/draft-07/schema#","type":"object","title":"ReadArguments","additionalProperties":false,
   "properties":{"path":{"type":"string","title":"Path","description":"Where  it   is"},
    "limit":{"anyOf":[{"type":"integer","minimum":1},{"type":"null"}],"default":null,"title":"Limit"},
    "mode":{"type":"string","enum":["a","b"],"default":"a"},
    "title":{"type":"string"}},"required":["path"]},
  "outputSchema":{"type":"object","properties":{"text":{"type":"string"}}},
  "annotations":{"readOnlyHint":true},"execution":{"taskSupport":"forbidden"},"_meta":{"x":1}},
 {"name":"move","description":"Move things","inputSchema":{"type":"object","$defs":{"Place":{"type":"object","properties":{"x":{"type":"number"},"tags":{"type":"array","items":{"type":"string"}}},"required":["x"]}},
   "properties":{"to":{"$ref":"#/$defs/Place"},"all":{"type":["array","null"],"items":{"anyOf":[{"type":"string"},{"type":"integer"}]}},"extra":{"type":"object","additionalProperties":{"type":"string","title":"E"}}},"required":["to","all"]}}],
 "nextCursor":"abc"}"##;

#[test]
fn a_pruned_list_is_the_same_list_without_what_no_call_needs() {
    let wanted = concat!(
        r##"{"tools":[{"name":"read_file","description":"Read a file.\nLines count from 1, e.g. 3.5. More.","inputSchema":{"type":"object","properties":{"##,
        r##""path":{"type":"string","description":"Where it is"},"limit":{"type":"integer","minimum":1},"##,
        r##""mode":{"type":"string","enum":["a","b"],"default":"a"},"title":{"type":"string"}},"required":["path"]},"_meta":{"x":1}},"##,
        r##"{"name":"move","description":"Move things","inputSchema":{"type":"object","$defs":{"Place":{"type":"object","properties":{"x":{"type":"number"},"tags":{"type":"array","items":{"type":"string"}}},"required":["x"]}},"##,
        r##""properties":{"to":{"$ref":"#/$defs/Place"},"all":{"type":["array","null"],"items":{"anyOf":[{"type":"string"},{"type":"integer"}]}},"extra":{"type":"object","additionalProperties":{"type":"string"}}},"required":["to","all"]}}],"nextCursor":"abc"}"##,
    );
    assert_eq!(prune(LIST).unwrap(), wanted);
    assert_eq!(prune(wanted).unwrap(), wanted);
}

#[test]
fn a_signature_says_names_types_defaults_and_what_may_be_left_out() {
    let wanted = concat!(
        "2 tools: name(required, optional?:type=default, no type: str) - what it does\n",
        "read_file(path, limit?:int, mode?:a|b=a, title?) - Read a file\n",
        "move(to:{x:num, tags?:str[]}, all:(str|int)[]|null, extra?:object) - Move things",
    );
    assert_eq!(signatures(LIST).unwrap(), wanted);
}

#[test]
fn one_tool_is_told_as_it_is_in_a_list() {
    let list: serde_json::Value = serde_json::from_str(LIST).unwrap();
    let tools: Vec<String> = list["tools"].as_array().unwrap().iter().map(ToString::to_string).collect();
    let whole = format!("[{}]", tools.join(","));
    let pruned: Vec<String> = tools.iter().map(|tool| prune_one(tool).unwrap()).collect();
    assert_eq!(format!("[{}]", pruned.join(",")), prune(&whole).unwrap());
    let lines: Vec<String> = tools.iter().map(|tool| signature(tool).unwrap()).collect();
    assert!(signatures(&whole).unwrap().ends_with(&lines.join("\n")));
    for text in ["", "{}", "[]", r#"{"name":"x"}"#, r#"{"name":3,"inputSchema":{}}"#] {
        assert_eq!((prune_one(text), signature(text)), (None, None), "{text}");
    }
}

#[test]
fn a_title_stays_where_nothing_else_says_what_a_tool_does() {
    for (said, stays) in [
        (r#""title":"Send","description":"Sends""#, r#""description":"Sends""#),
        (r#""title":"Send","description":"""#, r#""title":"Send","description":"""#),
        (r#""title":"Send""#, r#""title":"Send""#),
    ] {
        let tool = |said| format!(r#"{{"name":"x",{said},"inputSchema":{{}}}}"#);
        assert_eq!(prune_one(&tool(said)).unwrap(), tool(stays));
    }
}

#[test]
fn the_tools_that_are_meant_come_first_and_others_not_at_all() {
    let tool = |name: &str, description: &str, parameter: &str| {
        format!(
            r#"{{"name":"{name}","description":"{description}","inputSchema":{{"type":"object","properties":{{"{parameter}":{{}}}}}}}}"#
        )
    };
    let tools = [
        tool("mail__send", "Sends a letter to somebody who has an address", "recipient"),
        tool("files__moveFile", "Gives a file another name", "to"),
        tool("git__git_log", "The commits of a branch, letters and all", "max_count"),
        "no tool at all, though it has letters".to_owned(),
    ];
    let tools: Vec<&str> = tools.iter().map(String::as_str).collect();
    assert_eq!(find(&tools, "letters"), [0, 2]);
    assert_eq!(find(&tools, "move file"), [1]);
    assert_eq!(find(&tools, "the recipient"), [0, 2], "what few have counts for more");
    assert_eq!(find(&tools, "git commit log")[0], 2);
    assert_eq!(find(&tools, "max count"), [2]);
    assert_eq!((find(&tools, "zebra"), find(&tools, ""), find(&[], "a")), (vec![], vec![], vec![]));
}

#[test]
fn a_list_to_choose_from_is_a_unit_a_tool() {
    let outline = outline(Kind::Tools, LIST, Aim::Cut).unwrap();
    assert_eq!(outline.units.len(), 2);
    assert!(outline.units.iter().all(|unit| LIST[unit.source.clone()].starts_with('{')));
}

#[test]
fn what_is_no_list_of_tools_is_refused() {
    for text in ["", "{}", "[]", "[1]", r#"{"tools":[]}"#, r#"{"tools":[{"name":"x"}]}"#, r#"{"tools":{}}"#, "null"] {
        assert_eq!((prune(text), signatures(text)), (None, None), "{text}");
    }
}

#[test]
fn schemas_that_refer_to_themselves_come_to_an_end() {
    let properties: Vec<String> = (0..300).map(|at| format!(r##""p{at}":{{"$ref":"#/$defs/Self"}}"##)).collect();
    let node = format!(r#"{{"type":"object","properties":{{{}}}}}"#, properties.join(","));
    let list = format!(
        r#"[{{"name":"x","inputSchema":{{"type":"object","$defs":{{"Self":{node}}},"properties":{{"a":{node}}}}}}}]"#
    );
    assert!(signatures(&list).unwrap().len() < 100_000);
    assert!(prune(&list).is_some());
}

/// As servers of a common framework write their lists, with what they add to each schema.
fn written_by_a_framework(count: usize) -> String {
    let dice = &mut Dice::new(11);
    let tool = |at: usize| {
        let noun = dice.pick(&["branch", "page", "ticket", "cluster", "invoice"]);
        let verb = dice.pick(&["get", "list", "create", "delete"]);
        format!(
            r#"{{"name":"{verb}_{noun}_{at}","title":"{verb} {noun}","description":"{verb} one {noun} or many.\n\nWhat is asked for must exist; see the guide of the {noun}s for what may be asked for and by whom.","inputSchema":{{"$schema":"https://json-schema.org/draft/2020-12/schema","type":"object","title":"{verb}Arguments","additionalProperties":false,"properties":{{"id":{{"type":"string","title":"Id","description":"Which {noun}"}},"order":{{"type":"string","enum":["newest","oldest","by {noun}"],"default":"newest","title":"Order"}},"limit":{{"anyOf":[{{"type":"integer","minimum":1,"maximum":{}}},{{"type":"null"}}],"default":null,"title":"Limit"}}}},"required":["id"]}},"outputSchema":{{"type":"object","title":"{verb}Output","properties":{{"result":{{"type":"array","items":{{"type":"object","additionalProperties":true}},"title":"Result"}}}},"required":["result"]}},"annotations":{{"title":"{noun}","readOnlyHint":true,"openWorldHint":false}},"_meta":{{"tags":[]}}}}"#,
            10 + dice.roll(900)
        )
    };
    format!(r#"{{"tools":[{}]}}"#, (0..count).map(tool).collect::<Vec<_>>().join(","))
}

/// Names, parameters, required and enums of all tools.
fn what_a_call_needs(list: &str) -> Vec<String> {
    let list: serde_json::Value = serde_json::from_str(list).unwrap();
    let tools = list["tools"].as_array().unwrap().iter();
    let of = |tool: &serde_json::Value| {
        let schema = &tool["inputSchema"];
        let properties = schema["properties"].as_object().unwrap();
        let enums: Vec<_> = properties.iter().map(|(name, schema)| (name, schema.get("enum"))).collect();
        format!("{} {:?} {}", tool["name"], enums, schema["required"])
    };
    tools.map(of).collect()
}

#[test]
fn half_of_a_list_is_left_and_all_that_a_call_needs_with_it() {
    let list = written_by_a_framework(40);
    let pruned = prune(&list).unwrap();
    assert_eq!(what_a_call_needs(&pruned), what_a_call_needs(&list));
    let lines = signatures(&list).unwrap();
    for tool in what_a_call_needs(&list) {
        let name = tool.split('"').nth(1).unwrap();
        let noun = name.split('_').nth(1).unwrap();
        let wanted = format!("{name}(id, order?:newest|oldest|by {noun}=newest, limit?:int) - ");
        assert!(lines.lines().any(|line| line.starts_with(&wanted)), "{wanted}");
    }
    let [given, pruned, lines] = [&list, &pruned, &lines].map(|text| count(text));
    assert!(pruned * 2 <= given && lines * 100 <= given * 14, "{given} {pruned} {lines}");
}

/// `OMNIMIND_TOOLS=FILE`: the sizes for a list of one's own.
#[test]
fn sizes_of_a_given_list() {
    let Ok(file) = std::env::var("OMNIMIND_TOOLS") else { return };
    let text = std::fs::read_to_string(file).unwrap();
    let [given, pruned, lines] = [&text, &prune(&text).unwrap(), &signatures(&text).unwrap()].map(|text| count(text));
    println!(
        "{given} tokens, pruned {pruned} ({} %), signatures {lines} ({} %)",
        pruned * 100 / given,
        lines * 100 / given
    );
}
