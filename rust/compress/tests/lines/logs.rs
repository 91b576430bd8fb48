//! Logs whose templates are known: a style is a head and messages with typed places, filled from a seed.
//!
//! The messages have what makes real logs hard to group: values that are words, ids inside words, parts that are
//! there only sometimes, months in the message, threads that are now a word and now a number, other scripts.

use std::fmt::Write as _;

/// A generator of numbers (`SplitMix64`), the same for a seed everywhere.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end.max(1)
    }

    pub(crate) fn one<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[usize::try_from(self.below(of.len() as u64)).unwrap()]
    }
}

/// A log and, line by line, the message it was made from.
pub(crate) struct Made {
    pub(crate) style: &'static str,
    pub(crate) text: String,
    pub(crate) templates: Vec<usize>,
}

pub(crate) struct Style {
    pub(crate) name: &'static str,
    head: &'static str,
    messages: &'static [&'static str],
}

const USERS: [&str; 18] = [
    "alice", "bob", "carol", "dave", "erin", "frank", "grace", "heidi", "ivan", "judy", "mallory", "oscar", "peggy",
    "root", "sybil", "trent", "victor", "walter",
];
const HOSTS: [&str; 14] = [
    "amber", "birch", "cedar", "delta", "ember", "fjord", "grove", "heath", "inlet", "jasper", "knoll", "larch",
    "maple", "north",
];
const DOMAINS: [&str; 8] = [
    "mail.example.org",
    "proxy.corp.example",
    "cdn.shop.example",
    "api.pay.example",
    "db.int.example",
    "www.news.example",
    "files.lab.example",
    "auth.id.example",
];
const AGENTS: [&str; 5] = [
    "curl/8.5.0",
    "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
    "Go-http-client/2.0",
    "python-requests/2.32.3",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/126.0.0.0",
];

pub(crate) const STYLES: &[Style] = &[
    Style {
        name: "blocks",
        head: "<six> <n4> INFO dfs.<|DataNode|FSNamesystem|BlockMap>: ",
        messages: &[
            "Receiving block <blk> src: /<ipp> dest: /<ipp>",
            "Received block <blk> of size <n8> from /<ip>",
            "PacketResponder <n1> for block <blk> terminating",
            "BLOCK* NameSystem.addStoredBlock: blockMap updated: <ipp> is added to <blk> size <n8>",
            "BLOCK* NameSystem.allocateBlock: /user/<user>/job_<n6>/part-<n5>. <blk>",
            "Verification succeeded for <blk>",
            "Deleting block <blk> file /mnt/hadoop/dfs/data/current/subdir<n2>/<blk>",
            "<ipp> Served block <blk> to /<ip>",
            "<ipp>:Got exception while serving <blk> to /<ip>:",
        ],
    },
    Style {
        name: "service",
        head: "<iso>,<n3> <|INFO |INFO |INFO |WARN |DEBUG> [<?|main|worker-<n1>|http-nio-8080-exec-<n2>>] c.acme.store.Orders - ",
        messages: &[
            "Order <ord> placed by <user> for <n4> cents",
            "Order <ord> paid in <n3>ms",
            "cache miss for key order:<ord>",
            "Stock of <n5> is down to <n1>, reordering from <host>",
            "Request <uuid> took <n3>ms (limit <n3>ms)",
            "Retry <n1> of <n1> for <ord>: connection to <domain>:<port> refused",
            "Scheduled job cleanup finished, removed <n2> rows",
            "Could not reserve stock: java.lang.IllegalStateException: item <n5> is locked by <uuid>",
            "Worker pool resized to <n2>",
        ],
    },
    Style {
        name: "sshd",
        head: "<sys> gate sshd[<n5>]: ",
        messages: &[
            "Failed password for <user> from <ip> port <port> ssh2",
            "Failed password for invalid user <user> from <ip> port <port> ssh2",
            "Invalid user <user> from <ip>",
            "Accepted publickey for <user> from <ip> port <port> ssh2: RSA SHA256:<hex>",
            "Received disconnect from <ip>: 11: Bye Bye [preauth]",
            "Connection closed by <ip> [preauth]",
            "pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=<ip> user=<user>",
            "pam_unix(sshd:session): session opened for user <user> by (uid=0)",
            "pam_unix(sshd:session): session closed for user <user>",
            "error: Received disconnect from <ip>: 3: com.jcraft.jsch.JSchException: Auth fail [preauth]",
            "reverse mapping checking getaddrinfo for <domain> [<ip>] failed - POSSIBLE BREAK-IN ATTEMPT!",
        ],
    },
    Style {
        name: "kernel",
        head: "<sys> <host> <|kernel|systemd[1]|cron[<n4>]|ftpd[<n5>]>: ",
        messages: &[
            "[<n5>.<n6>] usb <n1>-<n1>: new high-speed USB device number <n2> using xhci_hcd",
            "[<n5>.<n6>] eth<n1>: link up, 1000Mbps, full-duplex",
            "Started Session <n3> of user <user>.",
            "(<user>) CMD (/usr/lib/<path> --quiet)",
            "connection from <ip> (<domain>) at <cal>",
            "Out of memory: Killed process <n5> (<host>) total-vm:<n6>kB",
            "audit: type=1400 audit(<n10>.<n3>:<n2>): apparmor=\"DENIED\" operation=\"open\" profile=\"<path>\" pid=<n5>",
        ],
    },
    Style {
        name: "apache",
        head: "[<apa>] ",
        messages: &[
            "[notice] workerEnv.init() ok /etc/httpd/conf/workers2.properties",
            "[error] mod_jk child workerEnv in error state <n1>",
            "[notice] jk2_init() Found child <n4> in scoreboard slot <n2>",
            "[error] [client <ip>] Directory index forbidden by rule: /var/www/<path>",
            "[error] [client <ip>] File does not exist: /var/www/<path>",
            "[warn] child process <n5> still did not exit, sending a SIGTERM",
        ],
    },
    Style {
        name: "access",
        head: "<ip> - <?|-|-|<user>> [<clf>] ",
        messages: &["\"<|GET|GET|POST> /<path>?id=<n4> HTTP/1.1\" <|200|200|200|304|404|503> <n4> \"-\" \"<agent>\""],
    },
    Style {
        name: "klog",
        head: "<|I|I|I|W|E><klog> <n5> ",
        messages: &[
            "controller.go:212] Syncing <host>/<user> took <n3>.<n2>ms",
            "reflector.go:368] Caches populated for *v1.<|Pod|Node|Service|Secret|ConfigMap|Lease|Ingress> from factory.go:160",
            "kubelet.go:1901] \"SyncLoop ADD\" source=\"api\" pods=[\"<host>/<user>-<hex>\"]",
            "garbage.go:88] Deleted <n2> images, freed <n8> bytes",
            "leaderelection.go:250] successfully acquired lease kube-system/<host>",
            "http.go:55] GET /apis/<path>: (<n2>.<n3>ms) <|200|200|404>",
        ],
    },
    Style {
        name: "logfmt",
        head: "time=<isot> level=<|info|info|warn|debug> ",
        messages: &[
            "msg=\"request done\" method=<|GET|PUT|POST> path=/<path> status=<|200|201|404> duration=<n3>ms trace=<hex>",
            "msg=\"user logged in\" user=<user> ip=<ip>",
            "msg=\"queue drained\" queue=<host> left=<n1>",
            "msg=\"slow query\" table=<host> rows=<n5> took=<n1>.<n2>s",
            "msg=\"lease lost\" node=<host> err=\"context deadline exceeded\"",
            "msg=\"config reloaded\" file=/etc/<path>",
        ],
    },
    Style {
        name: "logcat",
        head: "<and>  <n4>  <n4> <|D|I|V|W> ",
        messages: &[
            "WindowManager: Skipping AppWindowToken{<hex> token=Token{<hex>}} -- going to hide",
            "PowerManagerService: acquire lock=<n9>, flags=0x<n1>, tag=\"<|View Lock|AudioMix|RILJ>\", uid=<n5>",
            "PowerManagerService: release lock=<n9>, flg=0x0, tag=\"<|View Lock|AudioMix|RILJ>\"",
            "AudioManager: getRingerMode: mode=<n1>",
            "ActivityManager: Start proc <n5>:com.example.<host>/u0a<n2> for activity",
            "TelephonyManager: getPhoneType<opt: for slot <n1>/>",
        ],
    },
    Style {
        name: "chinese",
        head: "<iso>.<n3> [<|信息|信息|警告|错误>] ",
        messages: &[
            "用户 <user> 登录成功 来源 <ip>",
            "订单<n8>已支付，金额<n3>元",
            "连接数据库 <domain>:<port> 超时，重试第 <n1> 次",
            "缓存命中率 <n2>.<n1>%",
            "服务已启动，监听端口 <port>",
            "文件 /data/<path> 上传完成，大小 <n6> 字节",
        ],
    },
    Style {
        name: "russian",
        head: "<rus> <|ИНФО|ИНФО|ПРЕДУПРЕЖДЕНИЕ|ОШИБКА> ",
        messages: &[
            "Пользователь <user> вошёл с адреса <ip>",
            "Заказ № <n6> оплачен, сумма <n4> руб.",
            "Не удалось подключиться к узлу <host>: время ожидания истекло (<n4> мс)",
            "Запись в журнал <path> завершена",
            "Очередь <host> содержит <n3> сообщений",
        ],
    },
    Style {
        name: "proxy",
        head: "[11.21 <clock>] <?|chrome.exe|mail.exe|sync.exe> - ",
        messages: &[
            "<domain>:<port> open through proxy <domain>:<port> HTTPS",
            "<domain>:<port> close, <n4> bytes sent, <n5> bytes received, lifetime <clock>",
            "<domain>:<port> error : Could not connect through proxy <domain>:<port> - Proxy server cannot establish a connection",
        ],
    },
    Style {
        name: "health",
        head: "<hea>|Step_<|LSC|SPUtils|StandReportReceiver>|<n8>|",
        messages: &[
            "onStandStepChanged <n4>",
            "onExtend:<n10> <n2> <n1> <n4>",
            "getTodayTotalDetailSteps = <n10>##<n4>##<n6>##<n4>",
            "setTodayTotalDetailSteps=<n10>##<n4>##<n6>##<n4>",
            "processHandleBroadcastAction action:android.intent.action.<|SCREEN_ON|SCREEN_OFF|TIME_TICK>",
            "flush sensor data",
        ],
    },
    Style {
        name: "cloud",
        head: "nova-api.log <iso>.<n3> <n5> INFO nova.compute [req-<uuid> <hex> - - -] ",
        messages: &[
            "<ip> \"GET /v2/<hex>/servers/detail HTTP/1.1\" status: <|200|200|404> len: <n4> time: 0.<n7>",
            "[instance: <uuid>] VM Started (Lifecycle Event)",
            "[instance: <uuid>] VM Paused (Lifecycle Event)",
            "[instance: <uuid>] Took <n2>.<n2> seconds to build instance.",
            "Active base files: /var/lib/nova/instances/_base/<hex>",
            "[instance: <uuid>] Total memory: <n5> MB, used: <n4>.00 MB",
        ],
    },
    Style {
        name: "database",
        head: "<iso>.<n3> UTC [<n5>] <user>@shop LOG:  ",
        messages: &[
            "duration: <n3>.<n3> ms  statement: SELECT * FROM orders WHERE id = <n6>",
            "checkpoint complete: wrote <n4> buffers (<n1>.<n1>%); write=<n2>.<n3> s, sync=0.<n3> s",
            "connection received: host=<ip> port=<port>",
            "could not receive data from client: Connection reset by peer",
            "automatic vacuum of table \"shop.public.<host>\": index scans: <n1>",
        ],
    },
];

/// A log of so many lines.
pub(crate) fn make(style: &Style, lines: usize, seed: u64) -> Made {
    let mut dice = Dice::new(seed);
    let mut made = Made { style: style.name, text: String::new(), templates: Vec::new() };
    let mut clock = 36_000_000;
    for at in 0..lines {
        clock += dice.below(4000) * dice.below(2);
        // Some messages are frequent, some are rare.
        let most = style.messages.len() as u64;
        let message = usize::try_from(dice.below(most).min(dice.below(most + 2)).min(most - 1)).unwrap();
        if at > 0 {
            made.text.push('\n');
        }
        // A message always comes from the same place, at the same level.
        fill(style.head, clock, Some(message), &mut dice, &mut made.text);
        fill(style.messages[message], clock, None, &mut dice, &mut made.text);
        made.templates.push(message);
    }
    made
}

/// Replaces the `<…>` of a pattern; `<|a|b>` is one of several, which may have places of their own: the same one
/// for all lines of a message where `fixed` says which, but for `<?|a|b>`.
fn fill(pattern: &str, clock: u64, fixed: Option<usize>, dice: &mut Dice, out: &mut String) {
    let mut rest = pattern;
    while let Some(at) = rest.find('<') {
        out.push_str(&rest[..at]);
        let inner = &rest[at + 1..];
        let end = closing(inner);
        let place = &inner[..end];
        rest = &inner[end + 1..];
        if let Some(choices) = place.strip_prefix('|').or_else(|| place.strip_prefix("?|")) {
            let choices: Vec<&str> = split(choices);
            let one = fixed
                .filter(|_| place.starts_with('|'))
                .map_or_else(|| dice.one(&choices), |at| choices[at % choices.len()]);
            fill(one, clock, fixed, dice, out);
        } else if let Some(part) = place.strip_prefix("opt:") {
            if dice.below(2) == 0 {
                fill(part.trim_end_matches('/'), clock, fixed, dice, out);
            }
        } else {
            value(place, clock, dice, out);
        }
    }
    out.push_str(rest);
}

fn closing(inner: &str) -> usize {
    let mut depth = 1;
    inner
        .bytes()
        .position(|byte| {
            depth += i32::from(byte == b'<') - i32::from(byte == b'>');
            depth == 0
        })
        .unwrap()
}

fn split(choices: &str) -> Vec<&str> {
    let mut depth = 0;
    choices
        .split(|sign| {
            depth += i32::from(sign == '<') - i32::from(sign == '>');
            sign == '|' && depth == 0
        })
        .collect()
}

fn value(place: &str, clock: u64, dice: &mut Dice, out: &mut String) {
    let (seconds, ms) = (clock / 1000, clock % 1000);
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    let day = 21 + seconds / 86_400;
    let time = format!("{hour:02}:{minute:02}:{second:02}");
    let _ = match place {
        "iso" => write!(out, "2026-11-{day} {time}"),
        "isot" => write!(out, "2026-11-{day}T{time}.{ms:03}Z"),
        "six" => write!(out, "2611{day} {hour:02}{minute:02}{second:02}"),
        "sys" => write!(out, "Nov {day} {time}"),
        "apa" => write!(out, "Sat Nov {day} {time} 2026"),
        "clf" => write!(out, "{day}/Nov/2026:{time} +0000"),
        "klog" => write!(out, "11{day} {time}.{ms:03}123"),
        "and" => write!(out, "11-{day} {time}.{ms:03}"),
        "rus" => write!(out, "{day}.11.2026 {time}"),
        "hea" => write!(out, "202611{day}-{time}:{ms:03}"),
        "clock" => write!(out, "{time}"),
        "cal" => write!(
            out,
            "{} {} {:2} {time} 2026",
            dice.one(&["Mon", "Tue", "Sat"]),
            dice.one(&["Jun", "Jul"]),
            1 + dice.below(28)
        ),
        "ip" => write!(out, "10.{}.{}.{}", dice.below(4), dice.below(256), dice.below(256)),
        "ipp" => write!(out, "10.250.{}.{}:{}", dice.below(20), dice.below(256), 30_000 + dice.below(30_000)),
        "port" => write!(out, "{}", 1024 + dice.below(60_000)),
        "blk" => write!(out, "blk_{}{}", dice.one(&["", "-"]), dice.next() >> 1),
        "uuid" => {
            let (a, b) = (dice.next(), dice.next());
            write!(
                out,
                "{:08x}-{:04x}-4{:03x}-a{:03x}-{:012x}",
                a >> 32,
                a >> 16 & 0xffff,
                a & 0xfff,
                b >> 48 & 0xfff,
                b & 0xffff_ffff_ffff
            )
        }
        "hex" => write!(out, "{:016x}", dice.next()),
        "ord" => write!(out, "ord_{:010x}", dice.next() >> 24),
        "user" => write!(out, "{}", dice.one(&USERS)),
        "host" => write!(out, "{}", dice.one(&HOSTS)),
        "domain" => write!(out, "{}", dice.one(&DOMAINS)),
        "agent" => write!(out, "{}", dice.one(&AGENTS)),
        "path" => write!(
            out,
            "{}/{}{}.{}",
            dice.one(&HOSTS),
            dice.one(&USERS),
            dice.below(90),
            dice.one(&["log", "json", "conf", "html"])
        ),
        number => {
            let digits: u32 = number.strip_prefix('n').unwrap().parse().unwrap();
            write!(out, "{}", dice.below(10_u64.pow(digits)))
        }
    };
}
