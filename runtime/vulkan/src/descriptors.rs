//! Descriptor sets for recorded dispatches.

use std::collections::HashMap;

use ash::vk;

use crate::commands::BoundWindow;
use crate::error::Error;
use crate::pipeline::BindingKind;
use crate::recorder::{Op, Recording};

/// A pool with exactly the sets that a recording needs.
pub(crate) struct Sets {
    pub(crate) pool: vk::DescriptorPool,
    /// The set of each dispatch, in order; null where its pipeline binds nothing.
    pub(crate) of_dispatch: Vec<vk::DescriptorSet>,
}

/// What makes two dispatches share a set: pipeline, and windows by buffer, offset and length.
type Key = (usize, Vec<(u64, u64, u64)>);

/// The distinct sets of a recording.
#[derive(Default)]
struct Needs {
    /// The set of each dispatch by its place in `sets`; `None` where nothing is bound.
    of_dispatch: Vec<Option<usize>>,
    /// Pipeline and windows of each set.
    sets: Vec<(usize, std::ops::Range<usize>)>,
}

fn needs(recording: &Recording) -> Needs {
    let mut needs = Needs::default();
    let mut places: HashMap<Key, usize> = HashMap::new();
    for op in &recording.ops {
        let Op::Dispatch { pipeline, windows, .. } = op else { continue };
        let bound = &recording.windows[windows.clone()];
        let place = (!bound.is_empty()).then(|| {
            let key = (*pipeline, bound.iter().map(|w| (w.buffer.0, w.offset, w.len)).collect());
            *places.entry(key).or_insert_with(|| {
                needs.sets.push((*pipeline, windows.clone()));
                needs.sets.len() - 1
            })
        });
        needs.of_dispatch.push(place);
    }
    needs
}

impl Sets {
    /// Makes the pool and writes every set.
    pub(crate) fn new(recording: &Recording) -> Result<Sets, Error> {
        let needs = needs(recording);
        if needs.sets.is_empty() {
            let of_dispatch = vec![vk::DescriptorSet::null(); needs.of_dispatch.len()];
            return Ok(Sets { pool: vk::DescriptorPool::null(), of_dispatch });
        }
        let pool = create_pool(recording, &needs)?;
        let layouts: Vec<_> =
            needs.sets.iter().map(|&(p, _)| recording.pipelines.list()[p].set_layout).collect();
        let info = vk::DescriptorSetAllocateInfo::default().descriptor_pool(pool).set_layouts(&layouts);
        let raw = &recording.device.raw;
        // SAFETY: the pool was made for exactly these sets and belongs to this thread alone
        // (VUID-VkDescriptorSetAllocateInfo-apiVersion-07895, -descriptorPool-parameter).
        let sets = unsafe { raw.allocate_descriptor_sets(&info) }.map_err(|e| {
            // SAFETY: no set of the pool is in use (VUID-vkDestroyDescriptorPool-descriptorPool-00303).
            unsafe { raw.destroy_descriptor_pool(pool, None) };
            Error::call("vkAllocateDescriptorSets", e)
        })?;
        for (&set, (pipeline, windows)) in sets.iter().zip(&needs.sets) {
            let kinds = &recording.pipelines.list()[*pipeline].bindings;
            write(recording, set, kinds, &recording.windows[windows.clone()]);
        }
        let of_dispatch = needs
            .of_dispatch
            .iter()
            .map(|place| place.map_or(vk::DescriptorSet::null(), |place| sets[place]))
            .collect();
        Ok(Sets { pool, of_dispatch })
    }
}

fn create_pool(recording: &Recording, needs: &Needs) -> Result<vk::DescriptorPool, Error> {
    let exceeds = || Error::ExceedsLimit {
        name: recording.name.clone(),
        limit: "descriptors of one pool",
        value: recording.windows.len() as u64,
        max: u32::MAX.into(),
    };
    let mut sizes = Vec::new();
    for kind in [BindingKind::Storage, BindingKind::Uniform] {
        let of_kind =
            |p: usize| recording.pipelines.list()[p].bindings.iter().filter(|&&k| k == kind).count();
        let count: usize = needs.sets.iter().map(|&(p, _)| of_kind(p)).sum();
        let count = u32::try_from(count).map_err(|_| exceeds())?;
        if count > 0 {
            sizes.push(vk::DescriptorPoolSize::default().ty(kind.descriptor_type()).descriptor_count(count));
        }
    }
    let max_sets = u32::try_from(needs.sets.len()).map_err(|_| exceeds())?;
    let info = vk::DescriptorPoolCreateInfo::default().max_sets(max_sets).pool_sizes(&sizes);
    // SAFETY: sets and descriptors are more than 0 (VUID-VkDescriptorPoolCreateInfo-descriptorPoolOverallocation-09227).
    unsafe { recording.device.raw.create_descriptor_pool(&info, None) }
        .map_err(|e| Error::call("vkCreateDescriptorPool", e))
}

/// Writes one set: what stands here is what [`Commands::windows`](crate::Commands::windows) reports.
fn write(recording: &Recording, set: vk::DescriptorSet, kinds: &[BindingKind], windows: &[BoundWindow]) {
    let infos: Vec<_> = windows
        .iter()
        .map(|w| {
            let raw = recording.buffers.of(w.buffer.0).map_or(vk::Buffer::null(), |b| b.raw);
            [vk::DescriptorBufferInfo::default().buffer(raw).offset(w.offset).range(w.len)]
        })
        .collect();
    let writes: Vec<_> = windows
        .iter()
        .zip(kinds)
        .zip(&infos)
        .map(|((window, kind), info)| {
            vk::WriteDescriptorSet::default()
                .dst_set(set)
                .dst_binding(window.binding)
                .descriptor_type(kind.descriptor_type())
                .buffer_info(info)
        })
        .collect();
    // SAFETY: the set is new and in no use; buffers are alive and every window was checked when it was described
    // (VUID-VkDescriptorBufferInfo-offset-00340, -range-00342, VUID-VkWriteDescriptorSet-descriptorType-00328, -00333).
    unsafe { recording.device.raw.update_descriptor_sets(&writes, &[]) };
}
