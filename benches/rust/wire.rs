//! What reading, comparing and changing a message costs. `reference` of each group is serde reading a text and keeping
//! nothing of it: the same text, or for what is done to a call that is read already, the call.
#![allow(missing_docs, clippy::unwrap_used)]

mod cpu;

use std::hint::black_box;

use bytes::Bytes;
use cpu::CpuTime;
use criterion::{BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main};
use omnimind_wire::headers::{self, Values};
use omnimind_wire::seal::{Claims, Keyring, Kind};
use omnimind_wire::{Edit, Limits, Message, bridge, json, sse};

/// A call as a modern client sends it, about 300 bytes.
const CALL: &str = r#"{"jsonrpc":"2.0","id":17,"method":"tools/call","params":{"name":"read_text_file","arguments":{"path":"/srv/a/b.txt","head":100},"_meta":{"progressToken":17,"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{"elicitation":{"form":{}}}}}}"#;

fn list(tools: usize) -> String {
    let tool = r#"{"name":"read_text_file","title":"Read","description":"Reads a file as text.\nGives \"head\" or \"tail\" lines.","inputSchema":{"$schema":"http://json-schema.org/draft-07/schema#","type":"object","properties":{"path":{"type":"string"},"tail":{"type":"number","description":"last lines"},"head":{"type":"number"}},"required":["path"]},"annotations":{"readOnlyHint":true,"openWorldHint":false}}"#;
    format!(r#"{{"tools":[{}]}}"#, vec![tool; tools].join(","))
}

fn text(bytes: usize) -> String {
    let line = "All human beings are born free and equal in dignity and rights. ";
    format!(r#"{{"content":[{{"type":"text","text":"{}"}}]}}"#, line.repeat(bytes / line.len()))
}

fn reference(group: &mut BenchmarkGroup<'_, CpuTime>, raw: &str) {
    group.bench_function("reference", |b| {
        b.iter(|| serde_json::from_slice::<serde::de::IgnoredAny>(black_box(raw.as_bytes())));
    });
}

fn reading(c: &mut Criterion<CpuTime>) {
    let mut group = c.benchmark_group("wire/read_call");
    let call = Bytes::from_static(CALL.as_bytes());
    group.throughput(Throughput::Bytes(call.len() as u64));
    reference(&mut group, CALL);
    group.bench_function("parsed", |b| b.iter(|| Message::parse(black_box(call.clone()), &Limits::default())));
    group.bench_function("checked", |b| b.iter(|| json::check(black_box(&call), &Limits::default())));
    group.finish();
    let keys: Vec<String> = (0..100_000).map(|n| format!("\"k{n}\":0")).collect();
    let many = format!("{{{}}}", keys.join(","));
    for (name, raw) in [("list_40kB", list(100)), ("text_64kB", text(65_536)), ("object_of_100k_keys", many)] {
        let mut group = c.benchmark_group(format!("wire/read_{name}"));
        group.throughput(Throughput::Bytes(raw.len() as u64));
        reference(&mut group, &raw);
        group.bench_function("checked", |b| b.iter(|| json::check(black_box(raw.as_bytes()), &Limits::default())));
        group.finish();
    }
}

fn steps(c: &mut Criterion<CpuTime>) {
    let mut group = c.benchmark_group("wire/step");
    reference(&mut group, CALL);
    let Ok(Message::Request(request)) = Message::parse(Bytes::from_static(CALL.as_bytes()), &Limits::default()) else {
        return;
    };
    let look = |name: &str| match name {
        headers::PROTOCOL_VERSION => Values::One(b"2026-07-28"),
        headers::METHOD => Values::One(b"tools/call"),
        headers::NAME => Values::One(b"read_text_file"),
        _ => Values::None,
    };
    group.bench_function("check_modern", |b| b.iter(|| headers::check_modern(&look, black_box(&request))));
    let params = request.params.clone().unwrap();
    group.bench_function("edit_meta", |b| {
        b.iter(|| {
            Edit::new(black_box(&params))
                .set(&["_meta", "progressToken"], &b"4294967313"[..])
                .set(&["_meta", "omnimind/principal"], &b"\"local\""[..])
                .set(&["_meta", "omnimind/deadlineMs"], &b"60000"[..])
                .finish()
        });
    });
    let result = text(1_024);
    group.bench_function("result_to_modern_1kB", |b| {
        b.iter(|| {
            bridge::result_to_modern("tools/call", black_box(result.as_bytes()), Some(br#"{"name":"x","version":"1"}"#))
        });
    });
    let ring = Keyring::new(vec![[7; 32], [8; 32]]);
    let claims = Claims { principal: "local", backend: "memory", expires_at: 9, binding: b"", payload: b"cursor" };
    group.bench_function("seal", |b| b.iter(|| ring.seal(Kind::Cursor, black_box(&claims), [1; 12])));
    let token = ring.seal(Kind::Cursor, &claims, [1; 12]);
    group.bench_function("open", |b| b.iter(|| ring.open(Kind::Cursor, black_box(&token), "local", 1)));
    let stream = sse::event(result.as_bytes());
    group.bench_function("sse_event_1kB", |b| b.iter(|| sse::Parser::new(1 << 20).push(black_box(&stream))));
    group.finish();
}

criterion_group! {
    name = benches;
    config = cpu::criterion();
    targets = reading, steps
}
criterion_main!(benches);
