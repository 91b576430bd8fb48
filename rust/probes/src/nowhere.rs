//! Where there are no probes: nobody ever watches.

macro_rules! probe {
    ($module:ident($($told:ident: $type:ty),+)) => {
        pub(crate) mod $module {
            /// True while somebody watches.
            pub fn is_on() -> bool {
                false
            }

            pub(crate) fn place($(_: $type),+) {}
        }
    };
}

probe!(request_start(server: *const u8, id: *const u8, method: *const u8));
probe!(request_done(
    server: *const u8,
    id: *const u8,
    method: *const u8,
    tool: *const u8,
    micros: u64,
    outcome: *const u8
));
probe!(cache_hit(level: *const u8));
probe!(limiter_reject(reason: *const u8));
probe!(restart(server: *const u8));
