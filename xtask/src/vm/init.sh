#!/busybox sh
# The first process of a test VM: makes the file systems that a node has, runs the job, powers off.
/busybox mkdir -p /bin /proc /sys /dev /tmp /run /root /etc
/busybox --install -s /bin
export PATH=/bin HOME=/root WATCHFIRE_BIN=/watchfire CARGO_MANIFEST_DIR=/ RUST_BACKTRACE=1
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mkdir -p /dev/pts
mount -t devpts devpts /dev/pts
mount -t tmpfs tmpfs /tmp
mount -t tmpfs tmpfs /run
# With an option that a careless second mount would take away.
mount -t cgroup2 -o nsdelegate cgroup2 /sys/fs/cgroup
mount -t bpf bpf /sys/fs/bpf
mount -t tracefs tracefs /sys/kernel/tracing
mount -t securityfs securityfs /sys/kernel/security
ip link set lo up
hostname watchfire-vm
echo 'root:x:0:0:root:/root:/bin/sh' > /etc/passwd
for module in /modules/*.ko*; do
    [ -e "$module" ] && insmod "$module"
done
sh /job
# Unmistakable, and on a line of its own whatever came before.
printf '\n@@@ watchfire-vm-end %d @@@\n' $?
poweroff -f
