//! Processors by their features: what a CPU model needs of one, and which model several of them can give.

use std::collections::BTreeSet;

use crate::snapshot::{Cpu, CpuFlags};

/// More flags than this are counted, not named.
const MOST_NAMED: usize = 6;

/// CPU models of QEMU and PVE: what each is based on, and the flags of /proc/cpuinfo that it adds. Of each generation
/// only what an older processor does not have; what KVM gives to every guest is left out.
const MODELS: &[(&str, &str, &[&str])] = &[
    ("x86-64-v2", "", &["popcnt", "pni", "sse4_1", "sse4_2", "ssse3"]),
    ("x86-64-v2-AES", "x86-64-v2", &["aes"]),
    ("x86-64-v3", "x86-64-v2-AES", &["avx", "avx2", "bmi1", "bmi2", "f16c", "fma", "abm", "movbe", "xsave"]),
    ("x86-64-v4", "x86-64-v3", &["avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"]),
    ("kvm32", "", &[]),
    ("kvm64", "", &[]),
    ("qemu32", "", &[]),
    ("qemu64", "", &[]),
    ("core2duo", "", &["ssse3"]),
    ("Conroe", "", &["ssse3"]),
    ("Penryn", "Conroe", &["sse4_1"]),
    ("Nehalem", "Penryn", &["sse4_2", "popcnt"]),
    ("Westmere", "Nehalem", &["aes", "pclmulqdq"]),
    ("SandyBridge", "Westmere", &["avx", "xsave", "rdtscp"]),
    ("IvyBridge", "SandyBridge", &["f16c", "rdrand", "fsgsbase", "smep", "erms"]),
    ("Haswell", "IvyBridge", &["avx2", "bmi1", "bmi2", "fma", "movbe", "invpcid", "pcid", "abm"]),
    ("Broadwell", "Haswell", &["adx", "rdseed", "smap", "3dnowprefetch"]),
    ("Skylake-Client", "Broadwell", &["xsavec", "xgetbv1"]),
    (
        "Skylake-Server",
        "Skylake-Client",
        &["avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl", "clwb", "pdpe1gb"],
    ),
    ("Cascadelake-Server", "Skylake-Server", &["avx512_vnni", "pku"]),
    ("Cooperlake", "Cascadelake-Server", &["avx512_bf16"]),
    (
        "Icelake-Server",
        "Cascadelake-Server",
        &[
            "avx512ifma",
            "avx512vbmi",
            "avx512_vbmi2",
            "avx512_bitalg",
            "avx512_vpopcntdq",
            "gfni",
            "vaes",
            "vpclmulqdq",
            "la57",
            "umip",
            "wbnoinvd",
        ],
    ),
    (
        "SapphireRapids",
        "Icelake-Server",
        &["avx_vnni", "avx512_bf16", "avx512_fp16", "amx_tile", "amx_int8", "amx_bf16"],
    ),
    ("Opteron_G1", "", &[]),
    ("Opteron_G2", "Opteron_G1", &["rdtscp"]),
    ("Opteron_G3", "Opteron_G2", &["abm", "misalignsse", "popcnt", "sse4a"]),
    (
        "EPYC",
        "x86-64-v3",
        &["adx", "clflushopt", "fsgsbase", "rdrand", "rdseed", "sha_ni", "smap", "smep", "sse4a", "xsavec"],
    ),
    ("EPYC-Rome", "EPYC", &["clwb", "rdpid", "umip", "wbnoinvd"]),
    ("EPYC-Milan", "EPYC-Rome", &["erms", "fsrm", "invpcid", "pcid", "pku", "vaes", "vpclmulqdq"]),
    (
        "EPYC-Genoa",
        "EPYC-Milan",
        &[
            "avx512f",
            "avx512bw",
            "avx512cd",
            "avx512dq",
            "avx512vl",
            "avx512ifma",
            "avx512vbmi",
            "avx512_vbmi2",
            "avx512_vnni",
            "avx512_bf16",
            "gfni",
            "la57",
        ],
    ),
];

/// Models that have transactional memory unless their name says `noTSX`, or a version that has left it out.
const WITH_TSX: &[&str] = &["Haswell", "Broadwell", "Skylake-Client", "Skylake-Server", "Cascadelake-Server"];

/// Flags that Linux sets for itself: how it mitigates, counts and steers. They come and go with kernels, and no guest
/// sees them.
const OF_THE_KERNEL: &[&str] = &[
    "acc_power",
    "always",
    "amd_dcm",
    "amd_fast_cppc",
    "amd_htr_cores",
    "amd_lbr_pmc_freeze",
    "amd_lbr_v2",
    "aperfmperf",
    "apic_msrs_fence",
    "arch_lbr",
    "arch_perfmon",
    "art",
    "bhi_ctrl",
    "bmec",
    "bts",
    "call_depth",
    "cat_l2",
    "cat_l3",
    "cdp_l2",
    "cdp_l3",
    "clear_bhb_hw",
    "clear_bhb_loop",
    "clear_bhb_loop_on_vmexit",
    "clear_cpu_buf",
    "constant_tsc",
    "cpb",
    "cpuid",
    "cpuid_fault",
    "cqm_llc",
    "cqm_mbm_local",
    "cqm_mbm_total",
    "cqm_occup_llc",
    "dtherm",
    "entry_ibpb",
    "epb",
    "ept",
    "ept_ad",
    "extd_apicid",
    "fast_cppc",
    "fence_swapgs_kernel",
    "fence_swapgs_user",
    "flexpriority",
    "hfi",
    "hw_pstate",
    "hwp",
    "hwp_act_window",
    "hwp_epp",
    "hwp_notify",
    "hwp_pkg_req",
    "ibpb_exit_to_user",
    "ibpb_on_vmexit",
    "ida",
    "ibrs_enhanced",
    "intel_ppin",
    "kernel_ibrs",
    "ls_cfg_ssbd",
    "mba",
    "msr_ia32_feat_ctl",
    "msr_spec_ctrl",
    "msr_tsx_ctrl",
    "nonstop_tsc",
    "nonstop_tsc_s3",
    "nopl",
    "pebs",
    "per_thread_mba",
    "perfmon_v2",
    "pln",
    "proc_feedback",
    "pti",
    "ptsc",
    "pts",
    "pvunlock",
    "rapl",
    "rep_good",
    "retpoline",
    "retpoline_lfence",
    "rethunk",
    "ring3mwait",
    "rrsba_ctrl",
    "rsb_ctxsw",
    "rsb_vmexit",
    "rsb_vmexit_lite",
    "smba",
    "spec_store_bypass_disable",
    "split_lock_detect",
    "srso",
    "srso_alias",
    "srso_bp_spec_reduce",
    "syscall32",
    "sysenter32",
    "tpr_shadow",
    "tsc_known_freq",
    "tsc_reliable",
    "unret",
    "use_ibpb",
    "use_ibpb_fw",
    "use_ibrs_fw",
    "user_shstk",
    "vcpupreempt",
    "vmcall",
    "vmmcall",
    "vnmi",
    "vpid",
    "vw_vmmcall",
    "xcompacted",
    "xtopology",
    "zen",
    "zen1",
    "zen2",
    "zen3",
    "zen4",
    "zen5",
    "zen6",
];

/// What a model with this name needs; none if it is not known here. `Skylake-Server-noTSX-IBRS` and the like are
/// variants of a model.
fn needs(name: &str) -> Option<BTreeSet<&'static str>> {
    let known_variant = |rest: &str| {
        let version = |word: &str| word.strip_prefix('v').is_some_and(|number| number.parse::<u8>().is_ok());
        rest.split('-').skip(1).all(|word| matches!(word, "IBRS" | "IBPB" | "noTSX") || version(word))
    };
    let is_it = |model: &str| {
        let rest = name.strip_prefix(model).filter(|rest| rest.is_empty() || rest.starts_with('-'));
        rest.is_some_and(known_variant)
    };
    let (model, ..) = MODELS.iter().find(|(model, ..)| is_it(model))?;
    let mut flags = BTreeSet::new();
    let mut at = *model;
    while let Some((_, base, adds)) = MODELS.iter().find(|(model, ..)| *model == at) {
        flags.extend(*adds);
        at = *base;
    }
    let variant = &name[model.len()..];
    flags.extend(variant.contains("IBRS").then_some("ibrs"));
    flags.extend(variant.contains("IBPB").then_some("ibpb"));
    if WITH_TSX.contains(model) && matches!(variant, "" | "-IBRS") {
        flags.extend(["hle", "rtm"]);
    }
    Some(flags)
}

/// The best generic model that processors with these flags have in common; PVE's default where that is none.
pub fn common_model<'a>(all: impl IntoIterator<Item = &'a BTreeSet<String>>) -> &'static str {
    let all: Vec<&BTreeSet<String>> = all.into_iter().collect();
    let gives = |model: &&str| {
        needs(model).is_some_and(|flags| all.iter().all(|cpu| flags.iter().all(|flag| cpu.contains(*flag))))
    };
    ["x86-64-v4", "x86-64-v3", "x86-64-v2-AES", "x86-64-v2"].into_iter().find(gives).unwrap_or("kvm64")
}

/// Why a running VM with this CPU model does not go from one processor to another; none if it does. Only what the one
/// has can the guest have been given, so only that can be missing on the other.
///
/// With the host's own model (`host`, `max`) the guest may have been given all of it. Between processors of one name
/// more is no matter: a new kernel shows more. Between different ones every difference counts, because the model that
/// the guest was started with is that of no other processor. A model that is not known here may need all as well.
pub(super) fn unlike(model: &str, own: &CpuFlags, here: &Cpu, there: &Cpu) -> Option<String> {
    if here.architecture != there.architecture {
        return Some(format!("is {} and not {}", there.architecture, here.architecture));
    }
    let real = |flags: &BTreeSet<String>| -> BTreeSet<String> {
        flags.iter().filter(|flag| !OF_THE_KERNEL.contains(&flag.as_str())).cloned().collect()
    };
    let (ours, theirs) = (real(&here.flags), real(&there.flags));
    let model = own.base.as_deref().unwrap_or(model);
    if matches!(model, "host" | "max") {
        let alike = if here.model == there.model { ours.is_subset(&theirs) } else { ours == theirs };
        return (!alike).then(|| difference(&ours, &theirs));
    }
    let mut needed = match needs(model) {
        Some(flags) => flags.into_iter().map(str::to_owned).collect(),
        None => ours.clone(),
    };
    needed.extend(own.added.iter().cloned());
    let needed: BTreeSet<String> =
        needed.into_iter().filter(|flag| ours.contains(flag) && !own.removed.contains(flag)).collect();
    (!needed.is_subset(&theirs)).then(|| lacks(&needed, &theirs))
}

fn named(flags: Vec<&str>) -> String {
    match flags.len() {
        0..=MOST_NAMED => flags.join(", "),
        more => format!("{} and {} more", flags[..MOST_NAMED].join(", "), more - MOST_NAMED),
    }
}

fn lacks(needed: &BTreeSet<String>, there: &BTreeSet<String>) -> String {
    format!("lacks {}", named(needed.difference(there).map(String::as_str).collect()))
}

/// What the other processor lacks and what it has in addition: `lacks avx512f; has sha_ni besides`.
pub fn difference(here: &BTreeSet<String>, there: &BTreeSet<String>) -> String {
    let besides = named(there.difference(here).map(String::as_str).collect());
    match (here.is_subset(there), besides.is_empty()) {
        (false, false) => format!("{}; has {besides} besides", lacks(here, there)),
        (false, true) => lacks(here, there),
        _ => format!("has {besides} besides"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cpu(model: &str, flags: &[&str]) -> Cpu {
        let flags = flags.iter().map(|flag| (*flag).to_owned()).collect();
        Cpu { count: 8, model: model.to_owned(), flags, architecture: "x86_64".to_owned() }
    }

    fn of(model: &str) -> BTreeSet<String> {
        needs(model).unwrap().into_iter().map(str::to_owned).collect()
    }

    #[test]
    fn the_best_model_that_all_processors_have_is_suggested() {
        assert_eq!(common_model([&of("x86-64-v4"), &of("x86-64-v3")]), "x86-64-v3");
        assert_eq!(common_model([&of("x86-64-v4"), &of("x86-64-v2")]), "x86-64-v2");
        assert_eq!(common_model([&BTreeSet::new()]), "kvm64");
        assert_eq!(difference(&of("x86-64-v2-AES"), &of("x86-64-v2")), "lacks aes");
    }

    #[test]
    fn a_new_kernel_that_shows_more_or_other_flags_makes_no_other_processor() {
        let none = CpuFlags::default();
        let (old, new) =
            (cpu("Silver", &["aes", "avx2", "pti"]), cpu("Silver", &["aes", "avx2", "bus_lock_detect", "user_shstk"]));
        assert_eq!(unlike("host", &none, &old, &new), None);
        assert_eq!(unlike("host", &none, &new, &old).unwrap(), "lacks bus_lock_detect");
        let other = cpu("Gold", &["aes", "avx2", "avx512f"]);
        assert_eq!(unlike("host", &none, &old, &other).unwrap(), "has avx512f besides", "another processor");
        assert_eq!(unlike("host", &none, &old, &cpu("Gold", &["aes", "avx2", "srso"])), None);
    }

    #[test]
    fn a_named_model_is_asked_for_its_own_flags_and_an_unknown_one_for_all() {
        let none = CpuFlags::default();
        let (new, old) =
            (cpu("Gold", &["aes", "avx2", "avx512f", "gfni", "rtm"]), cpu("Bronze", &["aes", "avx2", "gfni"]));
        assert_eq!(unlike("Skylake-Server", &none, &new, &old).unwrap(), "lacks avx512f, rtm");
        assert_eq!(unlike("Skylake-Server-noTSX-IBRS", &none, &new, &old).unwrap(), "lacks avx512f");
        assert_eq!(unlike("Haswell-noTSX", &none, &new, &old), None);
        assert_eq!(unlike("Moonlake-Server", &none, &new, &old).unwrap(), "lacks avx512f, rtm");
        let flags = CpuFlags { added: ["rtm".to_owned()].into(), ..none.clone() };
        assert_eq!(unlike("kvm64", &flags, &new, &old).unwrap(), "lacks rtm");
        let flags = CpuFlags { removed: ["rtm".to_owned(), "avx512f".to_owned()].into(), ..none.clone() };
        assert_eq!(unlike("Skylake-Server", &flags, &new, &old), None);
        let custom = CpuFlags { base: Some("x86-64-v4".to_owned()), ..none };
        assert_eq!(unlike("custom-fast", &custom, &new, &old).unwrap(), "lacks avx512f");
    }

    #[test]
    fn another_architecture_runs_no_process_of_this_one() {
        let arm = Cpu { architecture: "aarch64".to_owned(), ..cpu("Neoverse", &[]) };
        assert_eq!(
            unlike("kvm64", &CpuFlags::default(), &cpu("Gold", &[]), &arm).unwrap(),
            "is aarch64 and not x86_64"
        );
    }
}
