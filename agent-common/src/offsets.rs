//! Where this kernel keeps what the programs read.

/// Offset of a field that this kernel's BTF lacks.
pub const UNKNOWN_OFFSET: u32 = u32::MAX;

/// Where the kernel declares a field: the struct, and the path of member names within it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct KernelField {
    /// Struct name.
    pub of: &'static str,
    /// Member names joined by dots; alternatives of other kernel versions follow after a bar.
    pub path: &'static str,
}

macro_rules! offsets {
    ($($name:ident: $of:literal $path:literal,)+) => {
        /// Byte offsets of kernel struct fields, resolved from the running kernel's BTF and frozen before the
        /// programs load, so that the verifier sees constants.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        #[repr(C)]
        pub struct Offsets {
            $(#[doc = concat!("`", $of, ".", $path, "`")] pub $name: u32,)+
        }

        impl Offsets {
            /// The kernel fields, in the order of this struct.
            pub const FIELDS: [KernelField; size_of::<Self>() / size_of::<u32>()] =
                [$(KernelField { of: $of, path: $path },)+];

            /// All fields unresolved.
            pub const UNKNOWN: Self = Self { $($name: UNKNOWN_OFFSET,)+ };
        }
    };
}

offsets! {
    task_pid: "task_struct" "pid",
    task_tgid: "task_struct" "tgid",
    task_start: "task_struct" "start_boottime|real_start_time",
    task_group_leader: "task_struct" "group_leader",
    task_real_parent: "task_struct" "real_parent",
    task_cred: "task_struct" "real_cred",
    task_nsproxy: "task_struct" "nsproxy",
    task_cgroups: "task_struct" "cgroups",
    task_mm: "task_struct" "mm",
    task_fs: "task_struct" "fs",
    task_signal: "task_struct" "signal",
    task_exit_code: "task_struct" "exit_code",
    cred_uid: "cred" "uid",
    cred_gid: "cred" "gid",
    cred_euid: "cred" "euid",
    cred_user_ns: "cred" "user_ns",
    user_ns_inum: "user_namespace" "ns.inum",
    nsproxy_mnt: "nsproxy" "mnt_ns",
    nsproxy_pid: "nsproxy" "pid_ns_for_children",
    nsproxy_net: "nsproxy" "net_ns",
    mnt_ns_inum: "mnt_namespace" "ns.inum",
    pid_ns_inum: "pid_namespace" "ns.inum",
    net_ns_inum: "net" "ns.inum",
    css_set_cgroup: "css_set" "dfl_cgrp",
    cgroup_kn: "cgroup" "kn",
    cgroup_root: "cgroup" "root",
    cgroup_root_hierarchy: "cgroup_root" "hierarchy_id",
    kernfs_id: "kernfs_node" "id",
    mm_arg_start: "mm_struct" "arg_start",
    mm_arg_end: "mm_struct" "arg_end",
    bprm_file: "linux_binprm" "file",
    file_path: "file" "f_path",
    path_mnt: "path" "mnt",
    path_dentry: "path" "dentry",
    dentry_parent: "dentry" "d_parent",
    dentry_name: "dentry" "d_name.name",
    mount_mnt: "mount" "mnt",
    mount_parent: "mount" "mnt_parent",
    mount_mountpoint: "mount" "mnt_mountpoint",
    vfsmount_root: "vfsmount" "mnt_root",
    fs_root: "fs_struct" "root",
    fs_pwd: "fs_struct" "pwd",
    signal_live: "signal_struct" "live.counter",
    signal_flags: "signal_struct" "flags",
    signal_exit_code: "signal_struct" "group_exit_code",
    sock_err: "sock" "sk_err",
    sock_flags: "sock" "__sk_common.skc_flags",
    sock_net: "sock" "__sk_common.skc_net.net",
    socket_sk: "socket" "sk",
    task_thread_pid: "task_struct" "thread_pid",
    task_files: "task_struct" "files",
    pid_level: "pid" "level",
    pid_numbers: "pid" "numbers",
    cred_suid: "cred" "suid",
    cred_sgid: "cred" "sgid",
    cred_egid: "cred" "egid",
    cred_fsuid: "cred" "fsuid",
    cred_fsgid: "cred" "fsgid",
    cred_effective: "cred" "cap_effective",
    cred_permitted: "cred" "cap_permitted",
    cred_inheritable: "cred" "cap_inheritable",
    cred_ambient: "cred" "cap_ambient",
    mm_env_start: "mm_struct" "env_start",
    mm_env_end: "mm_struct" "env_end",
    bprm_filename: "linux_binprm" "filename",
    bprm_interp: "linux_binprm" "interp",
    file_inode: "file" "f_inode",
    file_flags: "file" "f_flags",
    file_mode: "file" "f_mode",
    file_private: "file" "private_data",
    inode_number: "inode" "i_ino",
    inode_mode: "inode" "i_mode",
    inode_uid: "inode" "i_uid",
    inode_gid: "inode" "i_gid",
    inode_links: "inode" "i_nlink",
    inode_sb: "inode" "i_sb",
    sb_device: "super_block" "s_dev",
    sb_magic: "super_block" "s_magic",
    dentry_inode: "dentry" "d_inode",
    ovl_inode: "ovl_inode" "vfs_inode",
    ovl_upper: "ovl_inode" "__upperdentry",
    signal_tty: "signal_struct" "tty",
    tty_driver: "tty_struct" "driver",
    tty_index: "tty_struct" "index",
    driver_major: "tty_driver" "major",
    driver_minor_start: "tty_driver" "minor_start",
    files_fdt: "files_struct" "fdt",
    fdt_max: "fdtable" "max_fds",
    fdt_fd: "fdtable" "fd",
    io_opcode: "io_kiocb" "opcode",
    io_fd: "io_kiocb" "cqe.fd",
    io_open_folder: "io_open" "dfd",
    io_open_name: "io_open" "filename",
    io_open_flags: "io_open" "how.flags",
    io_unlink_folder: "io_unlink" "dfd",
    io_unlink_flags: "io_unlink" "flags",
    io_unlink_name: "io_unlink" "filename",
    io_rename_folder: "io_rename" "old_dfd",
    io_rename_new_folder: "io_rename" "new_dfd",
    io_rename_name: "io_rename" "oldpath",
    io_rename_new_name: "io_rename" "newpath",
    io_rename_flags: "io_rename" "flags",
    io_link_folder: "io_link" "old_dfd",
    io_link_new_folder: "io_link" "new_dfd",
    io_link_name: "io_link" "oldpath",
    io_link_new_name: "io_link" "newpath",
    io_mkdir_folder: "io_mkdir" "dfd",
    io_mkdir_name: "io_mkdir" "filename",
    io_mkdir_mode: "io_mkdir" "mode",
    io_xattr_name: "io_xattr" "filename",
    io_xattr_key: "io_xattr" "ctx.kname",
    io_truncate_length: "io_ftrunc" "len",
    filename_text: "filename" "name",
    task_exec_id: "task_struct" "self_exec_id",
    task_pid_links: "task_struct" "pid_links",
    cred_groups: "cred" "group_info",
    pid_tasks: "pid" "tasks",
    proc_inode: "proc_inode" "vfs_inode",
    proc_pid: "proc_inode" "pid",
    vma_start: "vm_area_struct" "vm_start",
    vma_end: "vm_area_struct" "vm_end",
    vma_flags: "vm_area_struct" "vm_flags",
    siginfo_code: "kernel_siginfo" "si_code",
    socket_type: "socket" "type",
    sock_protocol: "sock" "sk_protocol",
    sock_family: "sock" "__sk_common.skc_family",
    sock_local_port: "sock" "__sk_common.skc_num",
    sock_remote_port: "sock" "__sk_common.skc_dport",
    sock_local_v4: "sock" "__sk_common.skc_rcv_saddr",
    sock_remote_v4: "sock" "__sk_common.skc_daddr",
    sock_local_v6: "sock" "__sk_common.skc_v6_rcv_saddr",
    sock_remote_v6: "sock" "__sk_common.skc_v6_daddr",
    io_async: "io_kiocb" "async_data",
    io_socket_family: "io_socket" "domain",
    io_socket_type: "io_socket" "type",
    io_socket_protocol: "io_socket" "protocol",
    io_connect_address: "io_connect" "addr",
    io_connect_bytes: "io_connect" "addr_len",
    io_bind_bytes: "io_bind" "addr_len",
    io_listen_backlog: "io_listen" "backlog",
    io_message_address: "io_async_msghdr" "addr",
}
