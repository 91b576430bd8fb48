"""Ways out of a jail, each as a piece of Python that prints `escaped` or `refused NAME`.

Each runs in the jail, where it must be refused, and, where that harms nobody, outside of it as well, where it must
escape: an attack that fails everywhere shows nothing. `{name}` stands for a target that the test provides.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

PRELUDE: Final = """
import ctypes, errno, fcntl, os, socket, sys
LIBC = ctypes.CDLL(None, use_errno=True)
ARM = os.uname().machine == "aarch64"
def call(x86, arm, *arguments):
    number = arm if ARM else x86
    told = LIBC.syscall(ctypes.c_long(number), *(a if isinstance(a, bytes) else ctypes.c_long(a) for a in arguments))
    if told < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return told
def attempt(act):
    try:
        act()
    except OSError as refusal:
        print("refused", errno.errorcode.get(refusal.errno, str(refusal)))
    except Exception as refusal:
        print("refused", type(refusal).__name__)
    else:
        print("escaped")
def send_to_owner(pid):
    read, write = os.pipe()
    fcntl.fcntl(read, fcntl.F_SETOWN, pid)
def datagram(address):
    socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)[0].sendto(b"out", address)
def linked(target, how):
    how(target, "link-" + str(os.getpid()))
    try:
        open("link-" + str(os.getpid())).read()
    finally:
        os.unlink("link-" + str(os.getpid()))
def tell_fork():
    if os.fork() == 0:
        os._exit(0)
    os.wait()
def connected(family, address):
    with socket.socket(family) as out:
        out.connect(address)
"""


@dataclass(frozen=True, slots=True)
class Attack:
    """What is tried. `control` is False where outside the jail it would hurt, or needs what not every machine has."""

    what: str
    act: str
    control: bool = True

    @property
    def code(self) -> str:
        """The whole piece of Python."""
        return f"{PRELUDE}\nattempt(lambda: {self.act})\n"


FILES: Final = [
    Attack("read a secret", "open('{secret}').read()"),
    Attack("list its folder", "os.listdir('{outside}')"),
    Attack("read through a link", "linked('{secret}', os.symlink)"),
    Attack("read through a hard link", "linked('{secret}', os.link)", control=False),
    Attack("read through /proc/self/root", "open('/proc/self/root{secret}').read()"),
    Attack("read through /proc/self/cwd", "open('/proc/self/cwd/../../../../../..{secret}').read()", control=False),
    Attack("read /etc/passwd", "open('/etc/passwd').read()"),
    Attack("read /etc/shadow", "open('/etc/shadow').read()", control=False),
    Attack("read keys of the user", "os.listdir(os.path.expanduser('~{user}/.ssh'))", control=False),
    Attack("read the state folder", "os.listdir('{state}')"),
    Attack("read what belongs to another run", "open('{other}').read()"),
    Attack("list the folders of a principal", "os.listdir(os.path.dirname('{other}'))"),
    Attack("read the environment of another", "open('/proc/{pid}/environ', 'rb').read()"),
    Attack("read the environment of the first process", "open('/proc/1/environ', 'rb').read()", control=False),
    Attack("read its own environment", "open('/proc/self/environ', 'rb').read()"),
    Attack("open the memory of another", "open('/proc/{pid}/mem', 'rb')"),
    Attack("open a descriptor of another", "os.listdir('/proc/{pid}/fd')"),
    Attack("list its own descriptors", "os.listdir('/proc/self/fd')"),
    Attack("list processes", "os.listdir('/proc')"),
    Attack("read the kernel's settings", "open('/proc/sys/kernel/ostype').read()"),
    Attack("read devices", "os.listdir('/sys/class')"),
    Attack("write a new file", "open('{outside}/new', 'w').close()"),
    Attack("overwrite a file", "open('{victim}', 'r+').write('x')"),
    Attack("truncate a file", "os.truncate('{victim}', 1)"),
    Attack("make a folder", "os.makedirs('{outside}/folder', exist_ok=True)"),
    Attack("remove a file", "os.unlink('{outside}/gone')", control=False),
    Attack("move a file away", "os.rename('{outside}/gone', '{outside}/away')", control=False),
    Attack("move a file out", "(open('mine', 'w').close(), os.rename('mine', '{outside}/mine'))"),
    Attack("link a file out", "(open('mine', 'w').close(), os.link('mine', '{outside}/linked'))", control=False),
    Attack("set an attribute", "os.setxattr('{victim}', 'user.x', b'1')", control=False),
    Attack("make a device", "os.mknod('device', 0o60600, os.makedev(8, 0))", control=False),
    Attack("write into a library", "open(os.__file__, 'r+')", control=False),
    Attack("write where temporary files are", "open('/tmp/omnimind-attack', 'w')", control=False),
    Attack("write into shared memory", "open('/dev/shm/omnimind-attack', 'w')", control=False),
    Attack("open a handle", "call(304, 265, -100, 0, 0)", control=False),
    Attack("make a handle", "call(303, 264, -100, b'/', 0, 0, 0)", control=False),
    Attack("watch a folder", "call(294, 26, 0)"),
    Attack("change the root", "os.chroot('.')", control=False),
]  # fmt: skip

NETWORK: Final = [
    Attack("TCP", "connected(socket.AF_INET, ('127.0.0.1', {tcp}))"),
    Attack("TCP over IPv6", "socket.socket(socket.AF_INET6)", control=False),
    Attack("UDP", "socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'out', ('127.0.0.1', {udp}))"),
    Attack("a Unix socket", "connected(socket.AF_UNIX, '{unix}')"),
    Attack("an abstract socket", "connected(socket.AF_UNIX, '\\0{abstract}')"),
    Attack("a datagram through a pair", "datagram('{datagram}')"),
    Attack("an abstract datagram through a pair", "datagram('\\0{abstract_datagram}')"),
    Attack("netlink", "socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)"),
    Attack("a raw socket", "socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)", control=False),
    Attack("bind", "socket.socketpair()[0].bind('{outside}/bound')", control=False),
    Attack("io_uring", "call(425, 425, 1, bytes(120))", control=False),
]  # fmt: skip

PROCESSES: Final = [
    Attack("run a program", "__import__('subprocess').run(['/bin/true'], check=True)"),
    Attack("execute in place", "os.execv('/bin/true', ['true'])", control=False),
    Attack("execute a descriptor", "os.execve(os.open(sys.executable, os.O_RDONLY), ['x'], {{}})", control=False),
    Attack("spawn", "os.waitpid(os.posix_spawn('/bin/true', ['true'], {{}}), 0)"),
    Attack("fork", "tell_fork()"),
    Attack("fork by its number", "call(56, 220, 17, 0, 0, 0, 0) or os._exit(0)"),
    Attack("fork by clone3", "call(435, 435, (17).to_bytes(40, 'little'), 64)", control=False),
    Attack("use the other numbering", "call(0x40000027, 0x40000027)", control=False),
    Attack("use a call that nobody knows", "call(700, 700)", control=False),
    Attack("signal another", "os.kill({pid}, 0)"),
    Attack("signal everybody", "os.kill(-1, 0)", control=False),
    Attack("signal the parent", "os.kill(os.getppid(), 0)"),
    Attack("signal the group", "os.killpg(os.getpgid({pid}), 0)"),
    Attack("signal a thread of another", "call(234, 131, {pid}, {pid}, 0)"),
    Attack("queue a signal", "call(129, 138, {pid}, 10, bytes(128))", control=False),
    Attack("hold another process", "os.pidfd_open({pid})"),
    Attack("have a descriptor signal another", "send_to_owner({pid})"),
    Attack("stay when the parent ends", "call(157, 167, 1, 0, 0, 0, 0)"),
    Attack("trace", "call(101, 117, 0, 0, 0, 0)", control=False),
    Attack("attach to another", "call(101, 117, 16, {pid}, 0, 0)", control=False),
    Attack("read memory of another", "call(310, 270, {pid}, bytes(16), 0, bytes(16), 0, 0)", control=False),
    Attack("limit another", "__import__('resource').prlimit({pid}, 7)"),
    Attack("lift its own limits", "__import__('resource').setrlimit(9, (-1, -1))", control=False),
    Attack("rank another", "os.setpriority(os.PRIO_PROCESS, {pid}, 0)"),
    Attack("bind another to a processor", "os.sched_setaffinity({pid}, {{0}})"),
    Attack("become root", "os.setuid(0)", control=False),
    Attack("a new namespace", "call(272, 97, 0x10000000)", control=False),
    Attack("mount", "LIBC.mount(b'none', b'.', b'tmpfs', 0, None) and call(165, 40, 0, 0, 0, 0, 0)", control=False),
    Attack("userfaultfd", "call(323, 282, 0)", control=False),
    Attack("bpf", "call(321, 280, 0, bytes(120), 120)", control=False),
    Attack("performance counters", "call(298, 241, bytes(120), 0, -1, -1, 0)", control=False),
    Attack("keys of the kernel", "call(250, 219, 0, -3, 1)", control=False),
    Attack("memory of no file", "os.memfd_create('x')"),
    Attack("shared memory", "call(29, 194, 0, 4096, 0o600)"),
    Attack("a message queue", "call(68, 186, 0, 0o600)"),
]  # fmt: skip

ALL: Final = [*FILES, *NETWORK, *PROCESSES]
