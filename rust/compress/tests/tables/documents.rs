//! Documents as tools really answer them, made by chance: JSON without white space, and tables as text.

use crate::values::Dice;

const WORDS: &[&str] = &[
    "cache", "queue", "worker", "token", "request", "timeout", "schema", "replica", "shard", "index", "billing",
    "export", "session", "gateway", "retry", "backup", "metric", "client", "header", "upload", "parser", "filter",
    "stream", "batch",
];
const PEOPLE: &[&str] = &["amara", "bjorn", "chen-li", "dagny", "emeka", "farida", "goran", "hye-jin", "ines", "jonas"];

fn words(dice: &mut Dice, count: usize) -> String {
    (0..count).map(|_| dice.pick(WORDS)).collect::<Vec<_>>().join(" ")
}

fn time(dice: &mut Dice) -> String {
    format!(
        "2026-{:02}-{:02}T{:02}:{:02}:{:02}Z",
        1 + dice.roll(12),
        1 + dice.roll(28),
        dice.roll(24),
        dice.roll(60),
        dice.roll(60)
    )
}

fn list(count: usize, mut one: impl FnMut(usize) -> String) -> String {
    (0..count).map(&mut one).collect::<Vec<_>>().join(",")
}

/// Name and text of JSON documents.
pub(crate) fn json(seed: u64) -> Vec<(&'static str, String)> {
    let dice = &mut Dice::new(seed);
    vec![
        ("orders", orders(dice)),
        ("issues", issues(dice)),
        ("pods", pods(dice)),
        ("package", package(dice)),
        ("config", config(dice)),
        ("metrics", metrics(dice)),
        ("places", places(dice)),
        ("users", users(dice)),
        ("search", search(dice)),
        ("events", format!("[{}]", events(dice, 120).join(","))),
    ]
}

fn orders(dice: &mut Dice) -> String {
    let one = |at: usize| {
        let status = if at % 97 == 5 { "error" } else { dice.pick(&["ok", "ok", "ok", "pending"]) };
        format!(
            r#"{{"id":"ord_{}","customer":"{}","amount":{}.{:02},"currency":"EUR","status":"{status}","region":"{}","created_at":"{}","items":{}}}"#,
            dice.hex(12),
            dice.pick(PEOPLE),
            dice.roll(900),
            dice.roll(100),
            dice.pick(&["eu-west-1", "us-east-2"]),
            time(dice),
            1 + dice.roll(9)
        )
    };
    format!("[{}]", list(350, one))
}

fn issues(dice: &mut Dice) -> String {
    let one = |at: usize| {
        let number = 4200 - at;
        let person = dice.pick(PEOPLE);
        let count = dice.roll(3);
        let labels = list(count, |_| {
            format!(
                r#"{{"id":{},"name":"{}","color":"{}","default":false}}"#,
                dice.roll(90000),
                dice.pick(&["bug", "docs", "help wanted"]),
                dice.hex(6)
            )
        });
        let lines = dice.roll(4);
        let body = list(1 + lines, |_| words(dice, 14)).replace(',', "\\r\\n");
        format!(
            r#"{{"url":"https://api.example.org/repos/o/r/issues/{number}","html_url":"https://example.org/o/r/issues/{number}","id":{},"number":{number},"title":"{}","user":{{"login":"{person}","id":{},"avatar_url":"https://avatars.example.org/u/{}","type":"User","site_admin":false}},"labels":[{labels}],"state":"{}","locked":false,"assignee":{},"milestone":null,"comments":{},"created_at":"{}","updated_at":"{}","closed_at":null,"author_association":"NONE","body":"{body}"}}"#,
            dice.roll(2_000_000_000),
            words(dice, 6),
            dice.roll(99999),
            dice.roll(99999),
            dice.pick(&["open", "open", "open", "open", "closed"]),
            dice.pick(&["null", "null", r#"{"login":"ines","id":77}"#]),
            dice.roll(30),
            time(dice),
            time(dice)
        )
    };
    format!("[{}]", list(40, one))
}

fn pods(dice: &mut Dice) -> String {
    let one = |_| {
        let name = format!("{}-{}", dice.pick(WORDS), dice.hex(10));
        let app = dice.pick(WORDS);
        format!(
            r#"{{"metadata":{{"name":"{name}","namespace":"prod","uid":"{}-{}-4{}-a{}-{}","resourceVersion":"{}","creationTimestamp":"{}","labels":{{"app":"{app}","pod-template-hash":"{}","app.kubernetes.io/part-of":"shop"}},"ownerReferences":[{{"apiVersion":"apps/v1","kind":"ReplicaSet","name":"{app}-{}","controller":true}}]}},"spec":{{"containers":[{{"name":"{app}","image":"registry.example.org/{app}:1.{}.{}","args":["--port","80{}"],"resources":{{"limits":{{"cpu":"500m","memory":"{}Mi"}},"requests":{{"cpu":"100m","memory":"128Mi"}}}},"ports":[{{"containerPort":8080,"protocol":"TCP"}}]}}],"nodeName":"node-{}","restartPolicy":"Always"}},"status":{{"phase":"{}","podIP":"10.0.{}.{}","conditions":[{{"type":"Ready","status":"True","lastTransitionTime":"{}"}},{{"type":"PodScheduled","status":"True","lastTransitionTime":"{}"}}],"containerStatuses":[{{"name":"{app}","restartCount":{},"ready":true}}]}}}}"#,
            dice.hex(8),
            dice.hex(4),
            dice.hex(3),
            dice.hex(3),
            dice.hex(12),
            dice.roll(9_000_000),
            time(dice),
            dice.hex(10),
            dice.hex(9),
            dice.roll(20),
            dice.roll(9),
            dice.roll(90),
            128 * (1 + dice.roll(8)),
            dice.roll(12),
            dice.pick(&["Running", "Running", "Pending"]),
            dice.roll(250),
            dice.roll(250),
            time(dice),
            time(dice),
            dice.roll(4)
        )
    };
    format!(r#"{{"apiVersion":"v1","kind":"List","metadata":{{"resourceVersion":""}},"items":[{}]}}"#, list(24, one))
}

fn package(dice: &mut Dice) -> String {
    let locked = list(60, |at| {
        format!(
            r#""node_modules/{}-{at}":{{"version":"{}.{}.{}","resolved":"https://registry.example.org/{at}.tgz","integrity":"sha512-{}","dev":true,"license":"MIT"}}"#,
            dice.pick(WORDS),
            dice.roll(9),
            dice.roll(30),
            dice.roll(9),
            dice.hex(40)
        )
    });
    let wanted = list(20, |at| format!(r#""{}-{at}":"^{}.{}.0""#, dice.pick(WORDS), dice.roll(9), dice.roll(20)));
    format!(
        r#"{{"name":"shop","version":"1.4.2","private":true,"type":"module","scripts":{{"build":"tsc -b && vite build","test":"vitest run --coverage","lint":"eslint . --max-warnings 0"}},"engines":{{"node":">=20"}},"dependencies":{{{wanted}}},"packages":{{{locked}}}}}"#
    )
}

fn config(dice: &mut Dice) -> String {
    let service = |dice: &mut Dice, at: usize| {
        format!(
            r#""{}_{at}":{{"enabled":true,"listen":{{"host":"0.0.0.0","port":{}}},"limits":{{"rps":{},"burst":{},"timeout_ms":{}}},"upstreams":["http://10.1.{}.4:9000","http://10.1.{}.5:9000"],"retry":{{"attempts":{},"on":["5xx","reset"]}},"log":{{"level":"{}","sample":0.{}}}}}"#,
            dice.pick(WORDS),
            8000 + dice.roll(900),
            dice.roll(500),
            dice.roll(1000),
            100 * dice.roll(90),
            at,
            at,
            1 + dice.roll(4),
            dice.pick(&["info", "debug"]),
            dice.roll(9)
        )
    };
    let services = list(6, |at| service(dice, at));
    format!(
        r#"{{"version":3,"cluster":{{"name":"eu-1","zones":["a","b","c"],"tls":{{"cert":"/etc/ssl/gw.pem","key":"/etc/ssl/gw.key","min":"1.2"}}}},"services":{{{services}}},"features":{{"new_router":false,"shadow":{{"percent":5,"target":"canary"}}}},"notes":"do not raise burst above 900\nask {} first\nsee /srv/runbook.md"}}"#,
        dice.pick(PEOPLE)
    )
}

fn metrics(dice: &mut Dice) -> String {
    let series = list(12, |at| {
        let values =
            list(60, |step| format!(r#"[{},"{}.{}"]"#, 1_790_000_000 + step * 15, dice.roll(90), dice.roll(1000)));
        format!(
            r#"{{"metric":{{"__name__":"http_requests_total","job":"gateway","instance":"10.0.0.{at}:9100","code":"200"}},"values":[{values}]}}"#
        )
    });
    format!(r#"{{"status":"success","data":{{"resultType":"matrix","result":[{series}]}}}}"#)
}

fn places(dice: &mut Dice) -> String {
    let features = list(80, |at| {
        format!(
            r#"{{"type":"Feature","id":{at},"geometry":{{"type":"Point","coordinates":[{}.{},{}.{}]}},"properties":{{"name":"{}","kind":"{}","height":{}}}}}"#,
            dice.roll(180),
            dice.roll(99999),
            dice.roll(90),
            dice.roll(99999),
            words(dice, 2),
            dice.pick(&["park", "station", "school"]),
            dice.roll(300)
        )
    });
    format!(
        r#"{{"type":"FeatureCollection","crs":{{"type":"name","properties":{{"name":"EPSG:4326"}}}},"features":[{features}]}}"#
    )
}

fn users(dice: &mut Dice) -> String {
    let users = list(90, |at| {
        let nick = if dice.roll(3) == 0 { String::new() } else { format!(r#","nick":"{}""#, dice.pick(WORDS)) };
        format!(
            r#"{{"id":{at},"name":"{} {}","email":"u{at}@example.org","active":{},"roles":["{}"],"address":{{"city":"{}","zip":"{:05}","geo":{{"lat":"{}.{}","lng":"-{}.{}"}}}}{nick}}}"#,
            dice.pick(PEOPLE),
            dice.pick(WORDS),
            dice.roll(5) > 0,
            dice.pick(&["admin", "reader", "reader"]),
            dice.pick(WORDS),
            dice.roll(99999),
            dice.roll(90),
            dice.roll(9999),
            dice.roll(90),
            dice.roll(9999)
        )
    });
    format!(
        r#"{{"page":1,"per_page":90,"total":1204,"data":[{users}],"links":{{"next":"/users?page=2","prev":null}}}}"#
    )
}

fn search(dice: &mut Dice) -> String {
    let hits = list(12, |at| {
        format!(
            r#"{{"rank":{at},"score":0.{},"url":"https://docs.example.org/{}/{}","title":"{}","snippet":"{}. {}, {}."}}"#,
            dice.roll(9999),
            dice.pick(WORDS),
            dice.hex(6),
            words(dice, 5),
            words(dice, 20),
            words(dice, 9),
            words(dice, 12)
        )
    });
    format!(r#"{{"query":"how to retry","took_ms":41,"hits":[{hits}]}}"#)
}

/// Lines of a structured log: three shapes.
pub(crate) fn events(dice: &mut Dice, count: usize) -> Vec<String> {
    let one = |dice: &mut Dice| match dice.roll(20) {
        0 => format!(
            r#"{{"ts":"{}","level":"error","svc":"{}","msg":"upstream refused","error":{{"kind":"ECONNREFUSED","addr":"10.0.0.{}:5432"}}}}"#,
            time(dice),
            dice.pick(WORDS),
            dice.roll(99)
        ),
        1..5 => format!(
            r#"{{"ts":"{}","level":"warn","svc":"{}","msg":"slow query","ms":{}}}"#,
            time(dice),
            dice.pick(WORDS),
            dice.roll(9000)
        ),
        _ => format!(
            r#"{{"ts":"{}","level":"info","svc":"{}","msg":"request served","path":"/api/{}/{}","status":200,"ms":{}}}"#,
            time(dice),
            dice.pick(WORDS),
            dice.pick(WORDS),
            dice.roll(9999),
            dice.roll(90)
        ),
    };
    (0..count).map(|_| one(dice)).collect()
}

/// Name and text of tables.
pub(crate) fn tables(seed: u64) -> Vec<(&'static str, String)> {
    let dice = &mut Dice::new(seed);
    let csv = |dice: &mut Dice, quoted: bool, split: &str| {
        let mut lines =
            vec![["id", "name", "city", "status", "note", "amount"].map(|cell| quote(cell, quoted)).join(split)];
        for at in 0..120 {
            let note = dice.pick(&["", "", "", "paid, late", "said \"\"no\"\""]);
            let note = if note.is_empty() && !quoted {
                String::new()
            } else {
                quote(note, quoted || note.contains(split) || note.contains('"'))
            };
            let cells = [
                format!("{}", 1000 + at),
                dice.pick(PEOPLE).to_owned(),
                dice.pick(WORDS).to_owned(),
                "active".to_owned(),
            ];
            let mut cells = cells.map(|cell| quote(&cell, quoted)).to_vec();
            cells.extend([note, quote(&format!("{}.{:02}", dice.roll(999), dice.roll(99)), quoted)]);
            lines.push(cells.join(split));
        }
        lines
    };
    let mut found = vec![
        ("csv", csv(dice, false, ",").join("\n") + "\n"),
        ("csv all quoted, CRLF", csv(dice, true, ",").join("\r\n") + "\r\n"),
        ("tsv", csv(dice, false, "\t").join("\n")),
    ];
    let mut markdown = vec!["| name | version | license | size |".to_owned(), "|---|:---:|---|---:|".to_owned()];
    markdown.extend((0..40).map(|_| {
        format!("| {} | {}.{} | MIT | {} kB |", dice.pick(WORDS), dice.roll(9), dice.roll(9), dice.roll(900))
    }));
    found.push(("markdown", markdown.join("\n")));
    let mut pods = vec![format!("{:<28}{:<8}{:<19}{:<17}{}", "NAME", "READY", "STATUS", "RESTARTS", "AGE")];
    for _ in 0..50 {
        let name = format!("{}-{}-{}", dice.pick(WORDS), dice.hex(9), dice.hex(5));
        let restarts = dice.pick(&["0", "0", "3 (5d ago)"]);
        pods.push(format!(
            "{name:<28}{:<8}{:<19}{restarts:<17}{}d",
            "1/1",
            dice.pick(&["Running", "Running", "CrashLoopBackOff"]),
            dice.roll(90)
        ));
    }
    found.push(("kubectl", pods.join("\n") + "\n"));
    let mut files = vec!["total 1244".to_owned()];
    for _ in 0..60 {
        files.push(format!(
            "-rw-r--r-- 1 {:<7} staff {:>8} Nov {:>2} {:02}:{:02} {}_{}.rs",
            dice.pick(&["root", "amara"]),
            dice.roll(900_000),
            1 + dice.roll(28),
            dice.roll(24),
            dice.roll(60),
            dice.pick(WORDS),
            dice.pick(WORDS)
        ));
    }
    found.push(("ls -l", files.join("\n")));
    let mut processes = vec!["USER         PID %CPU %MEM    VSZ   RSS TTY      STAT START   TIME COMMAND".to_owned()];
    for _ in 0..60 {
        processes.push(format!(
            "{:<8} {:>7} {:>4} {:>4} {:>6} {:>5} {:<8} {:<4} {:<5} {:>6} {} --{} {}",
            dice.pick(&["root", "www-data"]),
            dice.roll(99999),
            format!("{}.{}", dice.roll(9), dice.roll(9)),
            "0.1",
            dice.roll(999_999),
            dice.roll(99999),
            "?",
            dice.pick(&["Ss", "Sl", "R+"]),
            "09:14",
            format!("{}:{:02}", dice.roll(60), dice.roll(60)),
            dice.pick(WORDS),
            dice.pick(WORDS),
            dice.roll(99)
        ));
    }
    found.push(("ps", processes.join("\n") + "\n"));
    found
}

fn quote(cell: &str, quoted: bool) -> String {
    if quoted { format!("\"{cell}\"") } else { cell.to_owned() }
}

/// A document with two spaces a level.
pub(crate) fn pretty(json: &str) -> String {
    let mut out = String::new();
    let (mut depth, mut inside, mut escaped) = (0, false, false);
    let signs: Vec<char> = json.chars().collect();
    for (at, sign) in signs.iter().copied().enumerate() {
        if inside {
            inside = sign != '"' || escaped;
            escaped = sign == '\\' && !escaped;
            out.push(sign);
            continue;
        }
        let next = signs.get(at + 1);
        match sign {
            '{' | '[' if !matches!(next, Some('}' | ']')) => {
                depth += 1;
                out.push(sign);
                out.push('\n');
                out.push_str(&"  ".repeat(depth));
            }
            '}' | ']' if !matches!(at.checked_sub(1).and_then(|at| signs.get(at)), Some('{' | '[')) => {
                depth -= 1;
                out.push('\n');
                out.push_str(&"  ".repeat(depth));
                out.push(sign);
            }
            ',' => {
                out.push_str(",\n");
                out.push_str(&"  ".repeat(depth));
            }
            ':' => out.push_str(": "),
            _ => {
                inside = sign == '"';
                out.push(sign);
            }
        }
    }
    out
}
