//! The probes' places in the code, with their notes and semaphores.
//!
//! A note is what systemtap's `sys/sdt.h` writes, field by field, in the section `.note.stapsdt`; it is no debugging
//! information and survives `strip`. Its base is a byte in a section of its own, by which readers correct addresses in
//! files that were moved after linking; nothing else refers to it, so it is marked to be kept. The instruction on x86-64 is the one of five bytes that new kernels replace by
//! a call, so that a probe that is watched need not trap either.
//!
//! **Why there is `unsafe` here.** Neither a note that names an address of the code nor an instruction at a known place
//! can be had without `asm!`. What the kernel raises is read volatile: no code of the process ever writes it, so that a
//! compiler might take it for a constant. The assembly does nothing: it keeps registers, flags and stack, and what its
//! arguments point to is read, if at all, by the kernel while the thread stands there.
#![allow(unsafe_code, reason = "a probe's place is made by assembly; see above")]

#[cfg(target_arch = "x86_64")]
macro_rules! place {
    ($name:literal, $a:expr) => {
        place!(@ $name, "8@%rdi", in("rdi") $a)
    };
    ($name:literal, $a:expr, $b:expr, $c:expr) => {
        place!(@ $name, "8@%rdi 8@%rsi 8@%rdx", in("rdi") $a, in("rsi") $b, in("rdx") $c)
    };
    ($name:literal, $a:expr, $b:expr, $c:expr, $d:expr, $e:expr, $f:expr) => {
        place!(
            @ $name, "8@%rdi 8@%rsi 8@%rdx 8@%rcx 8@%r8 8@%r9",
            in("rdi") $a, in("rsi") $b, in("rdx") $c, in("rcx") $d, in("r8") $e, in("r9") $f
        )
    };
    (@ $name:literal, $told:literal, $($operand:tt)+) => {
        note!(".byte 0x0f, 0x1f, 0x44, 0x00, 0x00", $name, $told, options(att_syntax, nostack, preserves_flags, readonly), $($operand)+)
    };
}

#[cfg(target_arch = "aarch64")]
macro_rules! place {
    ($name:literal, $a:expr) => {
        place!(@ $name, "8@x0", in("x0") $a)
    };
    ($name:literal, $a:expr, $b:expr, $c:expr) => {
        place!(@ $name, "8@x0 8@x1 8@x2", in("x0") $a, in("x1") $b, in("x2") $c)
    };
    ($name:literal, $a:expr, $b:expr, $c:expr, $d:expr, $e:expr, $f:expr) => {
        place!(
            @ $name, "8@x0 8@x1 8@x2 8@x3 8@x4 8@x5",
            in("x0") $a, in("x1") $b, in("x2") $c, in("x3") $d, in("x4") $e, in("x5") $f
        )
    };
    (@ $name:literal, $told:literal, $($operand:tt)+) => {
        note!("nop", $name, $told, options(nostack, preserves_flags, readonly), $($operand)+)
    };
}

/// An instruction, and the note that tells of it: name length, description length and type; the owner; address, base and
/// semaphore; provider, name and arguments.
macro_rules! note {
    ($nop:literal, $name:literal, $told:literal, options($($option:ident),+), $($operand:tt)+) => {
        core::arch::asm!(
            concat!("990: ", $nop),
            ".pushsection .note.stapsdt, \"?\", \"note\"",
            ".balign 4",
            ".4byte 992f - 991f, 994f - 993f, 3",
            "991: .asciz \"stapsdt\"",
            "992: .balign 4",
            "993: .8byte 990b",
            ".8byte _.stapsdt.base",
            ".8byte {semaphore}",
            concat!(".asciz \"omnimind\"; .asciz \"", $name, "\"; .asciz \"", $told, "\""),
            "994: .balign 4",
            ".popsection",
            ".ifndef _.stapsdt.base",
            ".pushsection .stapsdt.base, \"aGR\", \"progbits\", .stapsdt.base, comdat",
            ".weak _.stapsdt.base",
            ".hidden _.stapsdt.base",
            "_.stapsdt.base: .space 1",
            ".size _.stapsdt.base, 1",
            ".popsection",
            ".endif",
            semaphore = sym SEMAPHORE,
            $($operand)+,
            options($($option),+)
        )
    };
}

/// A probe of this name, with these arguments.
macro_rules! probe {
    ($module:ident, $name:literal, ($($told:ident: $type:ty),+)) => {
        pub(crate) mod $module {
            use core::sync::atomic::AtomicU16;

            /// Raised by the kernel while somebody watches. Its section has bytes in the file: what is mapped without a
            /// file cannot be raised.
            #[unsafe(link_section = ".probes")]
            static SEMAPHORE: AtomicU16 = AtomicU16::new(0);

            /// True while somebody watches.
            #[inline]
            pub fn is_on() -> bool {
                // SAFETY: it lives as long as the program, and nobody in it writes it.
                unsafe { SEMAPHORE.as_ptr().read_volatile() != 0 }
            }

            /// The place itself.
            #[inline]
            pub(crate) fn place($($told: $type),+) {
                // SAFETY: an instruction that does nothing; what is written beside it is not loaded.
                unsafe { place!($name, $($told),+) };
            }
        }
    };
}

probe!(request_start, "request__start", (server: *const u8, id: *const u8, method: *const u8));
probe!(request_done, "request__done", (
    server: *const u8,
    id: *const u8,
    method: *const u8,
    tool: *const u8,
    micros: u64,
    outcome: *const u8
));
probe!(cache_hit, "cache__hit", (level: *const u8));
probe!(limiter_reject, "limiter__reject", (reason: *const u8));
probe!(restart, "restart", (server: *const u8));
