use super::*;

/// A node as the hosts file describes it, filled with what it measured.
fn node(state: State, gpus: Vec<GpuFact>) -> Node {
    let promised = Gpu::parse("2x RTX 4090").unwrap();
    let mut node = Node::unknown("gpu-3".parse().unwrap());
    (node.has_gpu, node.gpu_count, node.gpu_memory_gb) = (true, promised.count, 40.0);
    (node.gpu_name, node.gpu_type) = (promised.name.clone(), promised.name.clone());
    fill(&mut node, Some(&promised), &NodeFacts { gpu_state: state, gpus, ..NodeFacts::default() });
    node
}

fn gpu(name: &str, percent: u8) -> GpuFact {
    GpuFact {
        name: name.to_owned(),
        memory_mib: 24564,
        used_mib: 6141,
        percent: Some(percent),
        usable: true,
        ..GpuFact::default()
    }
}

const ADA: &str = "NVIDIA GeForce RTX 4090";

#[test]
fn before_anything_is_measured_the_files_word_stands() {
    for state in [State::Unknown, State::Off] {
        let node = node(state, Vec::new());
        assert_eq!((node.has_gpu, node.gpu_count, node.gpu_name.as_str()), (true, 2, "RTX 4090"), "{state:?}");
        assert_eq!(node.gpu_state, state.as_str());
    }
}

#[test]
fn a_driver_that_cannot_say_what_there_is_leaves_the_files_name_and_takes_the_use() {
    for state in [State::NoPermission, State::Vanished, State::Hung, State::Failed] {
        let node = node(state, Vec::new());
        assert_eq!((node.has_gpu, node.gpu_count, node.gpu_name.as_str()), (false, 2, "RTX 4090"), "{state:?}");
    }
}

#[test]
fn where_nothing_is_nothing_is_shown() {
    for state in [State::NoLibrary, State::NoDriver, State::NoGpu] {
        let node = node(state, Vec::new());
        assert_eq!((node.has_gpu, node.gpu_count, node.gpu_name.as_str()), (false, 0, ""), "{state:?}");
        assert!(node.gpu_memory_gb.abs() < f64::EPSILON && node.gpu_type.is_empty());
    }
}

#[test]
fn a_lost_gpu_is_counted_and_is_not_part_of_the_load() {
    let lost = GpuFact { usable: false, percent: None, used_mib: 0, ..gpu(ADA, 0) };
    let node = node(State::Working, vec![lost, gpu(ADA, 90), gpu(ADA, 50)]);
    assert_eq!((node.has_gpu, node.gpu_count), (true, 3));
    assert_eq!((node.gpu_percent, node.gpu_memory_percent, node.gpu_memory_gb), (70.0, 25.0, 72.0));
}

#[test]
fn the_short_name_is_the_files_while_it_is_true() {
    assert_eq!(node(State::Working, vec![gpu(ADA, 0)]).gpu_type, "RTX 4090");
    let other = node(State::Working, vec![gpu("NVIDIA GeForce RTX 3090", 0)]);
    assert_eq!((other.gpu_name.as_str(), other.gpu_type.as_str()), ("NVIDIA GeForce RTX 3090", "RTX 3090"));
}
