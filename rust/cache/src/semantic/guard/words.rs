//! Words that carry meaning by themselves: what differs in one of them is another question.
//!
//! Rule: when in doubt a word is here. One too many costs a call, one too few an answer to another question. The
//! lists are English, with the negations of a few more languages; a text in a language they do not know is left to
//! [`verify`](super::super::verify), which knows none at all and needs none.

use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

use super::Slot;

const NUMBERS: &str = "zero=0 one=1 two=2 three=3 four=4 five=5 six=6 seven=7 eight=8 nine=9 ten=10 eleven=11 \
    twelve=12 thirteen=13 fourteen=14 fifteen=15 sixteen=16 seventeen=17 eighteen=18 nineteen=19 twenty=20 thirty=30 \
    forty=40 fifty=50 sixty=60 seventy=70 eighty=80 ninety=90 hundred thousand million billion trillion dozen half \
    quarter double triple twice once thrice pair single couple percent first=1st second third=3rd fourth=4th \
    fifth=5th sixth=6th seventh=7th eighth=8th ninth=9th tenth=10th thirds";

const NEGATIONS: &str = "not=not no none=none never nobody nothing nowhere neither nor without except excluding \
    excluded exclude unless lacking lack cannot=not non un minus barring absent missing unlike instead fail failed \
    failing failure hardly rarely seldom barely nicht kein keine keinen ohne nie pas sans ne jamais sin nunca senza \
    mai sem n'est niet geen utan inte ikke";

/// Opposites: one list, since each word is its own slot.
const OPPOSITES: &str = "minimum=min maximum=max min max before after first last with above below over under up down \
    out off left right top bottom front back inside outside inner outer upper lower north south east west \
    northern southern eastern western start end begin finish started ended begun finished beginning ending open \
    opened opening close closed closing enable enabled enabling disable disabled disabling allow allowed deny denied \
    permit permitted forbid forbidden accept accepted reject rejected approve approved include included including add \
    added adding remove removed removing delete deleted deleting create created creating insert inserted drop dropped \
    install installed uninstall uninstalled increase increased increasing decrease decreased decreasing rise fall \
    grow shrink ascending descending asc desc ascend descend newest oldest new old newer older latest earliest later \
    earlier early late fast slow faster slower fastest slowest high low higher lowest highest big small bigger smaller \
    biggest smallest large larger largest little tall short taller shorter tallest shortest long longer longest wide \
    narrow deep shallow heavy light heavier lighter heaviest lightest hot cold hotter colder hottest coldest warm \
    cool warmer cooler cheap expensive cheaper cheapest best worst better worse good bad positive negative true false \
    yes pass passed passing success successful succeed succeeded valid invalid correct incorrect right wrong safe \
    unsafe public private internal external local remote read write reading writing written input output send receive \
    sent received sender receiver import export imported exported importing exporting upload download uploaded \
    downloaded push pull pushed pulled encode decode encoded decoded encrypt decrypt encrypted decrypted compress \
    decompress compressed decompressed uncompressed lock unlock locked unlocked mount unmount connect disconnect \
    connected disconnected online offline active inactive alive dead available unavailable visible hidden hide full empty used unused known unknown required optional sync async synchronous asynchronous parent child \
    parents children ancestor descendant source target destination server client sender buyer seller borrower lender \
    employer employee teacher student doctor patient male female man woman men women boy girl husband wife mother \
    father son daughter brother sister uncle aunt king queen win lose won lost winner loser buy sell bought sold gain \
    loss profit debit credit income expense expenses revenue cost costs asset liability import export arrive depart \
    arrival departure arrivals departures enter exit entry login logout signup attach detach append prepend merge \
    split join leave joined left push pop stop stopped pause resume suspend suspended merged unmerged staged unstaged \
    tracked untracked committed uncommitted signed unsigned resolved unresolved assigned unassigned read unread \
    answered unanswered solved unsolved tested untested paid unpaid finished unfinished complete completed incomplete \
    pending done todo incoming outgoing inbound outbound upstream downstream horizontal vertical row column rows \
    columns front rear day night morning evening afternoon noon midnight weekday weekend weekdays weekends sunrise \
    sunset summer winter spring autumn fall add subtract multiply divide plus times sum product difference quotient \
    average mean median mode odd even prime numerator denominator square cube root absolute relative primary secondary \
    replica master main branch forward backward forwards backwards clockwise counterclockwise ahead behind near far \
    nearest farthest closer closest domestic foreign rural urban native adult junior senior major minor patch stable \
    unstable legacy deprecated modern manual automatic static dynamic mutable immutable singular plural present past \
    future strong weak rich poor dry wet hard soft easy difficult simple complex raw cooked upgrade downgrade \
    upgraded downgraded promote demote promoted demoted follow unfollow follower followers following mute unmute \
    subscribe unsubscribe select deselect check uncheck checked unchecked load unload save discard grant revoke \
    acquire release acquired released hire fire hired fired appear disappear divorce marry birth death born \
    died attack defend defence offence guilty innocent supply demand question answer cause effect problem solution";

const QUANTITIES: &str = "all any some each every both either many much few fewer several most more less least enough \
    only just exactly precisely approximately about around roughly nearly almost than same different \
    other others another similar equal equals identical distinct unique duplicate duplicates total subtotal count \
    number amount always sometimes often usually again still yet already else own too also even whole partial entire \
    rest remaining extra additional greater greatest together separately per sole";

const DIRECTIONS: &str = "from to into onto by since until till during through throughout between among against via \
    versus vs toward towards within beyond across along past upon because if then while whether as like \
    and or but xor and/or";

const QUESTIONS: &str = "who whom whose when where why how";

const TENSES: &str = "was were did had will would shall should must might may could can ought been being \
    going";

const PERSONS: &str = "i my mine your yours his her hers him he she it its their theirs they them our ours we us you me \
    myself yourself himself herself themselves this these here";

const TIMES: &str = "january february march april may june july august september october november december jan feb \
    mar apr jun jul aug sep sept oct nov dec monday tuesday wednesday thursday friday saturday sunday mon tue tues wed \
    thu thur thurs fri sat sun today yesterday tomorrow tonight now current currently previous previously next recent \
    recently latest ago annual annually yearly monthly weekly daily hourly nightly quarterly biweekly am pm utc gmt \
    est pst cet century decade fortnight immediately soon eventually original initial final";

const UNITS: &str = "nanosecond ns microsecond us millisecond ms second sec s minute minutes min m hour hr h day d week \
    month year yr bit byte kilobyte kb kib megabyte mb mib gigabyte gb gib terabyte tb tib petabyte pb millimetre \
    millimeter mm centimetre centimeter cm metre meter kilometre kilometer km inch inches foot feet ft yard mile mi \
    gram g kilogram kg milligram mg tonne ton pound lb lbs ounce oz stone litre liter l millilitre milliliter ml gallon \
    pint cup celsius fahrenheit kelvin degree radian volt watt kilowatt amp ampere ohm joule calorie kcal hertz hz khz \
    mhz ghz mph kph knot acre hectare pixel px em rem line word character char page paragraph sentence token item row \
    kbps mbps gbps bps rpm";

const KINDS: &str = "dollar dollars usd euro euros eur gbp sterling yen jpy yuan rmb cny rupee inr franc chf krona sek \
    peso ruble won real lira bitcoin btc ethereum eth cent pence penny \
    python javascript typescript java rust go golang ruby perl php swift kotlin scala haskell erlang elixir clojure \
    lua julia fortran cobol pascal bash zsh fish shell powershell sql c cpp csharp html css dart zig ocaml lisp scheme \
    prolog matlab node deno bun react vue angular svelte django flask fastapi rails spring laravel express \
    english french german spanish italian portuguese dutch russian chinese mandarin japanese korean arabic hindi \
    bengali turkish polish swedish danish norwegian finnish greek hebrew latin czech hungarian thai vietnamese \
    england britain france germany spain italy portugal netherlands russia china japan korea india brazil canada \
    mexico america africa europe asia australia london paris berlin madrid rome lisbon amsterdam moscow beijing tokyo \
    seoul delhi sydney york boston chicago vienna zurich geneva oslo stockholm helsinki dublin prague warsaw athens \
    red green blue yellow orange purple violet pink brown black white grey gray cyan magenta gold silver beige \
    json yaml toml xml csv tsv ini markdown md txt pdf doc docx xls xlsx png jpg jpeg gif svg webp mp3 mp4 wav zip tar \
    gzip gz bz2 xz zstd brotli lz4 snappy parquet avro protobuf msgpack cbor ascii utf8 unicode base64 hex binary octal \
    decimal hexadecimal md5 sha1 sha256 rsa aes http https ftp ssh tcp udp grpc websocket mqtt smtp imap pop3 dns \
    linux windows macos mac unix debian ubuntu fedora arch alpine android ios freebsd \
    postgres postgresql mysql mariadb sqlite oracle mongodb redis cassandra elasticsearch dynamodb clickhouse duckdb \
    docker kubernetes podman terraform ansible jenkins github gitlab bitbucket aws azure gcp s3 nginx apache caddy \
    production prod staging stage development dev testing qa sandbox canary beta alpha \
    debug info notice warn warning error fatal critical trace severe emergency alert \
    admin administrator user guest owner maintainer contributor author reviewer committer operator tenant customer \
    client vendor supplier manager employee member visitor moderator editor viewer subscriber \
    order orders invoice payment refund product cart shipment table view index trigger schema database constraint \
    procedure function method class module package library file folder directory repository commit tag branch issue \
    request response header body cookie session token password username email phone address name title id key value \
    cpu gpu ram memory disk network swap battery temperature fan process thread port socket kernel load latency \
    throughput bandwidth uptime cat dog horse cow bird fish lion tiger wolf bear apple banana cherry grape lemon \
    tea coffee milk water beer wine juice bread rice pasta beef pork chicken lamb football tennis basketball hockey \
    cricket golf mars venus mercury jupiter saturn neptune uranus pluto earth moon iron copper lead zinc nickel tin \
    oxygen hydrogen nitrogen carbon helium post put patch head hour minute area perimeter circumference \
    diameter radius volume surface length width height depth weight mass speed velocity acceleration force energy \
    power pressure";

/// Words that say nothing about what is asked, where the readings below let them be so.
const FILLERS: &str = "please kindly the a an is are be what which that those there tell give display list print return \
    fetch find get show see let in on at of for do does has have want need 's , ; : ( )";

/// Words that begin a sentence with a capital and are no names.
const OPENERS: &str = "please kindly the a an is are what which tell give display list print return fetch find get show \
    see let can could would search look how who when where why do does did i check count compute calculate convert \
    explain describe summarize summarise compare translate read open run report query select in on for from to all any \
    every each my our there there's help provide retrieve identify determine view and or if does has have should was \
    were will this that these those name number which output lookup enumerate locate need want";

/// Which kind of slot a word is, and the one spelling it is compared by.
static SLOTS: LazyLock<HashMap<&'static str, (Slot, &'static str)>> = LazyLock::new(|| {
    let lists = [
        (Slot::Kind, KINDS),
        (Slot::Unit, UNITS),
        (Slot::Person, PERSONS),
        (Slot::Tense, TENSES),
        (Slot::Quantity, QUANTITIES),
        (Slot::Opposite, OPPOSITES),
        (Slot::Time, TIMES),
        (Slot::Direction, DIRECTIONS),
        (Slot::Question, QUESTIONS),
        (Slot::Number, NUMBERS),
        (Slot::Negation, NEGATIONS),
    ];
    let words = lists.into_iter().flat_map(|(slot, list)| list.split_whitespace().map(move |word| (slot, word)));
    words
        .map(|(slot, word)| {
            let (word, spelling) = word.split_once('=').unwrap_or((word, word));
            (word, (slot, spelling))
        })
        .collect()
});

/// The slot of a word in small letters, singular or plural.
pub fn slot(word: &str) -> Option<(Slot, &str)> {
    let exact = SLOTS.get(word).copied();
    let stem = word.strip_suffix('s').filter(|stem| stem.len() > 2);
    let singular = || stem.and_then(|stem| SLOTS.get(stem)).map(|(slot, _)| (*slot, word));
    exact.or_else(singular)
}

static WEAK: LazyLock<HashSet<&'static str>> = LazyLock::new(|| FILLERS.split_whitespace().collect());
static ORDINARY: LazyLock<HashSet<&'static str>> = LazyLock::new(|| OPENERS.split_whitespace().collect());

/// Whether a word may say nothing.
pub fn filler(word: &str) -> bool {
    WEAK.contains(word)
}

/// Whether a capitalised word at the start of a sentence is an ordinary one.
pub(super) fn opener(word: &str) -> bool {
    let name = |slot: &(Slot, &str)| matches!(slot.0, Slot::Kind | Slot::Time | Slot::Unit);
    ORDINARY.contains(word) || slot(word).is_some_and(|slot| !name(&slot))
}

/// What turns a word into its opposite.
const OPPOSING: [&str; 13] =
    ["un", "in", "im", "il", "ir", "dis", "non", "mis", "de", "anti", "counter", "over", "under"];

/// Whether one word is the other with its meaning turned: `likely`, `unlikely`.
pub fn opposed(one: &str, other: &str) -> bool {
    let turned = |word: &str, from: &str| word.strip_suffix(from).is_some_and(|before| OPPOSING.contains(&before));
    let without = |word: &str| word.strip_suffix("less").map(str::to_owned);
    let with = |word: &str| word.strip_suffix("ful").map(str::to_owned);
    turned(one, other)
        || turned(other, one)
        || (without(one).is_some() && without(one) == with(other))
        || (without(other).is_some() && without(other) == with(one))
}
