//! From objects of the Kubernetes API to a state.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;

use anyhow::{Result, bail};
use serde_json::Value;
use watchfire_inventory::{Change, Directory, EndpointSliceObject, Object, ResourceKind, Source, object};
use watchfire_model::Dialect;
use watchfire_policy::{
    CiliumOptions, Policy, PolicySet, Rejection, Service, parse_documents, parse_object, parse_values,
};

use super::{Facts, NOW, State, workloads};
use crate::yaml_files;

/// Objects, each with where it was read.
#[derive(Default)]
pub(super) struct Objects {
    pub(super) policies: Vec<(Arc<Policy>, Option<String>)>,
    pub(super) mistakes: Vec<Rejection>,
    pub(super) others: Vec<Object>,
    /// Pods that workloads would make.
    templates: Vec<Object>,
    pub(super) facts: Facts,
}

impl State {
    /// What objects say, all of which have to be valid.
    #[cfg(test)]
    pub(in super::super) fn of_objects(objects: Vec<Value>, dialect: Dialect) -> Self {
        let mut read = Objects::default();
        for object in objects {
            read.other(object).unwrap();
        }
        read.into_state(Some(dialect), CiliumOptions::default())
    }

    /// What a folder of manifests, or one file, says.
    pub(in super::super) fn of_manifests(folder: &Path, dialect: Option<Dialect>) -> Result<Self> {
        let mut objects = Objects::default();
        let files = yaml_files::files(folder)?;
        if files.is_empty() {
            bail!("{} has no YAML or JSON file", folder.display());
        }
        for file in files {
            objects.file(&file)?;
        }
        Ok(objects.into_state(dialect, CiliumOptions::default()))
    }
}

/// Policies of one file, each with the line on which it begins, and what of it cannot be used.
pub(in super::super) struct PolicyFile {
    pub(in super::super) policies: Vec<(Arc<Policy>, u64)>,
    pub(in super::super) mistakes: Vec<Rejection>,
}

/// Reads policies of a file.
pub(in super::super) fn policy_file(name: &str, text: &str) -> PolicyFile {
    let parsed = parse_documents(name, text);
    // Those that can be read are the same here, and here they know their lines.
    let (values, _) = parse_values(name, text);
    let lines = values.into_iter().filter_map(|(line, value)| Some((parse_object(value).ok()??, line)));
    PolicyFile { policies: lines.collect(), mistakes: parsed.rejected }
}

impl Objects {
    fn file(&mut self, path: &Path) -> Result<()> {
        let text = yaml_files::read(path)?;
        let name = path.display().to_string();
        let PolicyFile { policies, mistakes } = policy_file(&name, &text);
        self.mistakes.extend(mistakes);
        self.policies
            .extend(policies.into_iter().map(|(policy, line)| (policy, Some(format!("{name}:{line}")))));
        for (line, value) in parse_values(&name, &text).0 {
            self.other(value).map_err(|reason| anyhow::anyhow!("{name}:{line}: {reason}"))?;
        }
        Ok(())
    }

    /// Takes an object that is no policy.
    pub(super) fn other(&mut self, value: Value) -> Result<(), String> {
        if let Some(template) = workloads::pod_of(&value) {
            let manifest = object(template).map_err(|error| error.to_string())?;
            self.templates.extend(manifest.map(|manifest| manifest.object));
            return Ok(());
        }
        // Policies are read elsewhere, of more kinds, and with lines.
        let is_read = |kind: &str| POLICY_KINDS.contains(&kind);
        if value.get("kind").and_then(Value::as_str).is_none_or(is_read) {
            return Ok(());
        }
        let manifest = object(value).map_err(|error| error.to_string())?;
        self.others.extend(manifest.map(|manifest| manifest.object));
        Ok(())
    }

    pub(super) fn into_state(mut self, dialect: Option<Dialect>, options: CiliumOptions) -> State {
        self.add_templates();
        let dialect = dialect.unwrap_or_else(|| {
            let is_of_cilium = |(policy, _): &(Arc<Policy>, _)| !policy.is_known_to(Dialect::K8s);
            if self.policies.iter().any(is_of_cilium) { Dialect::Cilium } else { Dialect::K8s }
        });
        let Self { policies, mistakes, others, mut facts, .. } = self;
        let mut directory = Directory::default();
        for kind in ResourceKind::ALL {
            directory.take(Source::File, Change::ListBegins(kind), NOW);
            for object in others.iter().filter(|object| object.kind() == kind) {
                directory.take(Source::File, Change::Apply(Box::new(object.clone())), NOW);
            }
            directory.take(Source::File, Change::ListEnds(kind), NOW);
        }
        let mut nodes = BTreeMap::new();
        let (mut services, mut slices) = (Vec::new(), Vec::new());
        for object in others {
            match object {
                Object::Node(node) => {
                    facts.node_labels.insert(node.name.clone(), node.labels);
                    nodes.insert(node.name, node.ips);
                }
                Object::Service(service) => services.push(service),
                Object::EndpointSlice(slice) => slices.push(slice),
                Object::Namespace(_) | Object::Pod(_) | Object::Policy(_) => {}
            }
        }
        facts.know_services(&services, &slices);
        let pods = directory
            .pods()
            .map(|pod| ((pod.identity.namespace.to_string(), pod.name.to_string()), Arc::clone(pod)));
        let pods = pods.collect();
        let mut places = HashMap::new();
        for (policy, place) in &policies {
            if let Some(place) = place {
                places.insert(Arc::clone(policy.reference()), place.clone());
            }
        }
        let policies: Vec<_> = policies.into_iter().map(|(policy, _)| policy).collect();
        let set = PolicySet::with_options(dialect, options, policies.iter().cloned());
        State { policies, places, mistakes, set, pods, services, directory, nodes, facts }
    }

    /// A workload stands for its pods where those are not told.
    fn add_templates(&mut self) {
        let made: Vec<_> = (self.others.iter())
            .filter_map(|object| match object {
                Object::Pod(pod) => Some((pod.namespace.clone(), pod.controller.clone()?.name)),
                _ => None,
            })
            .collect();
        let is_made = |template: &Object| {
            let Object::Pod(pod) = template else { return true };
            // Those of a Deployment are its ReplicaSet's, whose name begins with the Deployment's.
            let begins = |name: &str| {
                name == pod.name || name.strip_prefix(&pod.name).is_some_and(|rest| rest.starts_with('-'))
            };
            made.iter().any(|(namespace, name)| *namespace == pod.namespace && begins(name))
        };
        self.templates.retain(|template| !is_made(template));
        self.others.append(&mut self.templates);
    }
}

/// Kinds that the policy engine reads.
const POLICY_KINDS: [&str; 9] = [
    "NetworkPolicy",
    "CiliumNetworkPolicy",
    "CiliumClusterwideNetworkPolicy",
    "CiliumCIDRGroup",
    "AdminNetworkPolicy",
    "BaselineAdminNetworkPolicy",
    "ClusterNetworkPolicy",
    "PeerAuthentication",
    "AuthorizationPolicy",
];

impl Facts {
    fn know_services(
        &mut self,
        services: &[watchfire_inventory::ServiceObject],
        slices: &[EndpointSliceObject],
    ) {
        let is_api =
            |slice: &&EndpointSliceObject| slice.namespace == "default" && slice.service == "kubernetes";
        let api: Vec<_> = slices.iter().filter(is_api).flat_map(|slice| slice.addresses.clone()).collect();
        if self.api_server.is_none() && !api.is_empty() {
            self.api_server = Some(api);
        }
        if services.is_empty() || self.services.is_some() {
            return;
        }
        let of = |service: &watchfire_inventory::ServiceObject| {
            let own = |slice: &&EndpointSliceObject| {
                slice.namespace == service.namespace && slice.service == service.name
            };
            Service {
                namespace: service.namespace.clone(),
                name: service.name.clone(),
                labels: service.labels.clone(),
                selector: service.selector.clone(),
                backends: slices.iter().filter(own).flat_map(|slice| slice.addresses.clone()).collect(),
            }
        };
        self.services = Some(services.iter().map(of).collect());
    }
}
