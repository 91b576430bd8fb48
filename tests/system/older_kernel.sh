#!/usr/bin/env bash
# older_kernel.sh DIR COMMAND... - the command under Debian 12's Linux 6.1, with what it needs kept in DIR.
#
# For probes that this machine's own kernel cannot try. The kernel runs in an emulator without any help of the hardware
# (some ten times slower), and sees this machine's files, of which it changes none: what it writes is in its own memory
# and gone at the end. There is no network but its own loopback. The exit code is the command's; no root is needed.
# By the machine's own apt client; packages are unpacked in DIR (15 s, 600 MB), nothing is installed.
set -euo pipefail
dir=$(realpath -m "$1")
shift
libraries=$dir/root/usr/lib/x86_64-linux-gnu:$dir/root/lib/x86_64-linux-gnu
emulator=(env "LD_LIBRARY_PATH=$libraries" "$dir/root/usr/bin/qemu-system-x86_64" -L "$dir/root/usr/share/qemu" -L "$dir/root/usr/share/seabios")

fetch() {
    rm -rf "$dir" && mkdir -p "$dir/debs" "$dir/root"
    local kernel packages
    kernel=$(apt-cache depends linux-image-amd64 | awk '/Depends/{print $2; exit}')
    # What is installed already does not come along: the emulator uses this machine's libraries for it.
    mapfile -t packages < <(apt-get install -s --no-install-recommends qemu-system-x86 busybox-static | awk '/^Inst/{print $2}' | grep -v '^ipxe')
    (cd "$dir/debs" && apt-get download -qq -o APT::Sandbox::User="$(id -un)" "$kernel" busybox-static "${packages[@]}")
    for package in "$dir"/debs/*.deb; do dpkg-deb -x "$package" "$dir/root"; done
    rm -rf "$dir/debs"
}

# What the kernel starts with: the modules to see this machine's files, and a program that puts them under the command.
pack() {
    local seed=$dir/seed modules
    rm -rf "$seed" && mkdir -p "$seed"/{bin,modules,lower,upper,all}
    cp "$dir"/root/bin/busybox "$seed/bin/busybox"
    modules=(virtio_ring virtio virtio_pci_legacy_dev virtio_pci_modern_dev virtio_pci netfs fscache 9pnet 9pnet_virtio 9p overlay)
    for module in "${modules[@]}"; do
        cp "$(find "$dir/root/lib/modules" -name "$module.ko")" "$seed/modules/"
    done
    cat >"$seed/init" <<END
#!/bin/busybox sh
export PATH=/bin
/bin/busybox --install -s /bin
mkdir -p /proc /sys /dev && mount -t proc proc /proc && mount -t sysfs sys /sys && mount -t devtmpfs dev /dev
for module in ${modules[*]}; do insmod /modules/\$module.ko; done
mount -t 9p -o trans=virtio,version=9p2000.L,msize=512000,cache=loose,ro machine /lower
mount -t tmpfs upper /upper && mkdir /upper/new /upper/work
mount -t overlay -o lowerdir=/lower,upperdir=/upper/new,workdir=/upper/work overlay /all
for place in proc sys dev; do mount --move /\$place /all/\$place; done
mount -t tracefs tracefs /all/sys/kernel/tracing
mount -t tmpfs tmp /all/tmp && mount -t tmpfs run /all/run
mkdir -p /all/dev/shm && mount -t tmpfs shm /all/dev/shm
ln -s /proc/self/fd /all/dev/fd
ip link set lo up
chroot /all /bin/bash /run-in-older-kernel </all/dev/null >/all/dev/ttyS0 2>&1
echo \$? >/all/dev/ttyS2
poweroff -f
END
    chmod +x "$seed/init"
}

[ -d "$dir/root" ] || fetch
pack
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp -a "$dir/seed" "$work/seed"
mkdir -p "$work/seed/upper"
printf '%s\n' 'stty -F /dev/ttyS0 -onlcr' "cd $(printf %q "$PWD")" "$(export -p | grep -E ' (PATH|HOME|PYTHON[A-Z]*|OMNIMIND_[A-Z]*)=')" \
    "exec $(printf '%q ' "$@")" >"$work/seed/command"
sed -i 's#^chroot /all#cp /command /all/run-in-older-kernel; &#' "$work/seed/init"
(cd "$work/seed" && find . | "$dir/seed/bin/busybox" cpio -o -H newc 2>/dev/null) | gzip -1 >"$work/seed.gz"
"${emulator[@]}" -accel tcg,thread=multi -smp 2 -m 3072 -no-reboot -nodefaults -display none -monitor none \
    -kernel "$dir"/root/boot/vmlinuz-* -initrd "$work/seed.gz" -append 'console=ttyS1 quiet panic=-1' \
    -virtfs local,path=/,mount_tag=machine,security_model=none,readonly=on,multidevs=remap \
    -serial stdio -serial "file:$work/kernel.log" -serial "file:$work/code" </dev/null
code=$(tr -d '[:space:]' <"$work/code")
[ -n "$code" ] || { tail -n 20 "$work/kernel.log" >&2; echo "the kernel ended without the command" >&2; exit 70; }
exit "$code"
