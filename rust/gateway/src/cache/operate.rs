//! The operator's hand on the memory: how full it is, forgetting, and why a request is a hit or not.

use std::{
    fmt::Write,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use omnimind_cache::levels::LevelStats;
use omnimind_wire::Request;
use serde_json::{Value, json};

use super::{
    Counts, Hit, Memory, Shelf,
    path::{self, Asked},
    report::Wish,
};
use crate::{
    metrics::head,
    relay::{Client, Route},
};

/// A counter's name, what it counts, and where it stands.
type Counter = (&'static str, &'static str, fn(&Counts) -> &AtomicU64);

impl Memory {
    /// What the levels hold and did, and what became of each server's requests.
    pub(crate) fn stats(&self) -> Value {
        let levels = self.levels.load();
        let settings = self.settings.load();
        let Some(levels) = levels.as_ref() else {
            return json!({"on": false, "levels": {}, "servers": self.servers()});
        };
        let stats = levels.stats();
        let mut disk = level(&stats.disk, settings.disk_bytes);
        if stats.disk.off.is_some() {
            let why = match (&*self.disk_off.load(), settings.disk_bytes) {
                (Some(why), _) => why.to_string(),
                (None, 0) => "it is configured so".to_owned(),
                (None, _) => stats.disk.off.unwrap_or_default(),
            };
            disk = json!({"off": why});
        }
        json!({
            "on": true,
            "levels": {
                "ram": level(&stats.ram, settings.max_bytes),
                "compressed": level(&stats.compressed, settings.compressed_bytes),
                "disk": disk,
                "semantic": self.semantic_stats(),
                "predictive": self.predictive_stats(settings.predict),
            },
            "servers": self.servers(),
        })
    }

    fn sorted(&self) -> Vec<Arc<Shelf>> {
        let mut shelves: Vec<_> = self.shelves.load().values().cloned().collect();
        shelves.sort_by(|one, other| one.spec.name.cmp(&other.spec.name));
        shelves
    }

    fn servers(&self) -> Vec<Value> {
        self.sorted().iter().map(|shelf| shelf.stats()).collect()
    }

    fn semantic_stats(&self) -> Value {
        if let Some(why) = self.meaning.off() {
            return json!({"off": &*why});
        }
        let stats = self.meaning.stats();
        let tools: Vec<Value> = stats
            .tools
            .iter()
            .map(|tool| {
                let name = self.meaning.name(tool.tool);
                json!({
                    "server": name.server,
                    "tool": name.tool,
                    "served": tool.counts.served,
                    "checked": tool.counts.checked,
                    "right": tool.counts.right,
                    "wrong": tool.counts.wrong,
                    "vetoed": tool.counts.vetoed,
                    "demotions": tool.counts.demotions,
                    "false_upper": tool.false_upper,
                })
            })
            .collect();
        json!({"entries": stats.entries, "bytes": stats.bytes, "tools": tools})
    }

    fn predictive_stats(&self, on: bool) -> Value {
        let stats = self.ahead.stats(self.now_ms());
        json!({
            "on": on,
            "observed": stats.observed,
            "issued": stats.issued,
            "used": stats.used,
            "wasted": stats.wasted,
            "cancelled": stats.cancelled,
            "useful_ms": stats.useful_ms,
            "wasted_ms": stats.wasted_ms,
        })
    }

    /// Appends its numbers in Prometheus' text format.
    pub(crate) fn render(&self, text: &mut String) {
        let shelves = self.sorted();
        head(text, "omnimind_cache_hits_total", "counter", "Requests answered from the cache, by level.");
        for shelf in &shelves {
            for (level, hits) in ["ram", "compressed", "disk"].into_iter().zip(&shelf.counts.hits) {
                let (server, hits) = (&shelf.spec.name, hits.load(Relaxed));
                let _ = writeln!(text, "omnimind_cache_hits_total{{server=\"{server}\",level=\"{level}\"}} {hits}");
            }
        }
        let counters: [Counter; 5] = [
            ("misses", "Requests that went upstream for lack of a kept answer.", |counts| &counts.misses),
            ("shared", "Requests answered by what another fetched.", |counts| &counts.shared),
            ("kept", "Answers kept.", |counts| &counts.kept),
            ("stale", "Lookups that found an answer past its time.", |counts| &counts.stale),
            ("changes", "Times a server's kept answers became old at once.", |counts| &counts.changes),
        ];
        for (name, help, counter) in counters {
            let name = format!("omnimind_cache_{name}_total");
            head(text, &name, "counter", help);
            for shelf in &shelves {
                let _ =
                    writeln!(text, "{name}{{server=\"{}\"}} {}", shelf.spec.name, counter(&shelf.counts).load(Relaxed));
            }
        }
        let Some(levels) = self.levels.load_full() else { return };
        let stats = levels.stats();
        head(text, "omnimind_cache_bytes", "gauge", "Bytes held, by level.");
        for (level, stats) in [("ram", &stats.ram), ("compressed", &stats.compressed), ("disk", &stats.disk)] {
            let _ = writeln!(text, "omnimind_cache_bytes{{level=\"{level}\"}} {}", stats.bytes);
        }
    }

    /// Forgets one server's answers, or all; whose.
    pub(crate) fn flush(&self, server: Option<&str>) -> Vec<String> {
        let mut flushed = Vec::new();
        for shelf in self.sorted().iter().filter(|shelf| server.is_none_or(|server| shelf.spec.name == server)) {
            shelf.forget();
            if let Some(levels) = &*self.levels.load() {
                levels.clear(Some(shelf.group));
            }
            flushed.push(shelf.spec.name.clone());
        }
        flushed
    }

    /// What becomes of a request if it comes now, and why. Nothing is sent, kept or counted for it, but that a server
    /// may be asked what its tools are.
    pub(crate) async fn explain(&self, client: &Client, route: &Route, request: &Request) -> Value {
        let (spec, params) = (&route.source.spec, &route.params);
        let wish = Wish::default();
        let asked = Asked {
            client,
            spec,
            method: &request.method,
            params,
            continues: request.continues(),
            request: Some(request),
            wish,
        };
        let Some(judged) = path::judge(&asked).await else {
            return json!({"error": format!("{} is not configured", spec.name)});
        };
        let mut said = json!({
            "server": spec.name,
            "method": request.method,
            "changes": judged.shelf.counts.changes.load(Relaxed),
        });
        let more = match &judged.planned {
            Err(why) => json!({"kept": false, "why": why, "hit": null}),
            Ok((_, keys)) => {
                let hit = self.look(&judged.shelf, keys).await.as_ref().map(shown);
                let never = judged.shelf.is_never_kept(asked.number());
                let why = if !never || hit.is_some() {
                    None
                } else if spec.first_party {
                    Some("its last answer did not say what it depends on, or came too soon after a change")
                } else {
                    Some("its last answer could not be kept: no ttlMs and no configured time, or an error")
                };
                json!({"kept": !never, "why": why, "hit": hit, "key": hex(&keys.own)})
            }
        };
        if let (Some(said), Value::Object(more)) = (said.as_object_mut(), more) {
            said.extend(more);
        }
        said
    }
}

impl Shelf {
    fn stats(&self) -> Value {
        let counts = &self.counts;
        let [ram, compressed, disk] = counts.hits.each_ref().map(|hits| hits.load(Relaxed));
        json!({
            "name": self.spec.name,
            "hits": {"ram": ram, "compressed": compressed, "disk": disk},
            "stale": counts.stale.load(Relaxed),
            "shared": counts.shared.load(Relaxed),
            "misses": counts.misses.load(Relaxed),
            "kept": counts.kept.load(Relaxed),
            "changes": counts.changes.load(Relaxed),
        })
    }
}

fn level(stats: &LevelStats, max_bytes: u64) -> Value {
    match &stats.off {
        Some(why) => json!({"off": why}),
        None => json!({
            "entries": stats.entries,
            "bytes": stats.bytes,
            "max_bytes": max_bytes,
            "hits": stats.hits,
            "stale_hits": stats.stale_hits,
            "misses": stats.misses,
            "evictions": stats.evictions,
            "refused": stats.refused,
            "damaged": stats.damaged,
        }),
    }
}

fn shown(hit: &Hit) -> Value {
    json!({"level": hit.level.name(), "age_ms": hit.age_ms, "left_ms": hit.left_ms})
}

fn hex(key: &[u8]) -> String {
    key.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
