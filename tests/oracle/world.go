package main

import (
	"fmt"
	"maps"
	"net/netip"
	"strings"

	"github.com/cilium/cilium/pkg/identity"
	cilium "github.com/cilium/cilium/pkg/k8s/apis/cilium.io/v2"
	k8sutils "github.com/cilium/cilium/pkg/k8s/utils"
	"github.com/cilium/cilium/pkg/labels"
	"github.com/cilium/cilium/pkg/labelsfilter"
	"github.com/cilium/cilium/pkg/option"
	"github.com/cilium/cilium/pkg/policy/api"
	ciliumtypes "github.com/cilium/cilium/pkg/types"
)

// world is who is who, as Cilium numbers it.
type world struct {
	identities identity.IdentityMap
	// Pods by namespace and name, and what each has.
	pods  map[string]*pod
	nodes map[netip.Addr]string
	// Labels of the node objects, which the host's endpoint has.
	hostLabels map[string]map[string]string
	// Labels of the nodes themselves, where Cilium looks at them.
	nodeLabels map[string]labels.Labels
	// Numbers of nodes as seen from other nodes.
	remote    map[string]identity.NumericIdentity
	outside   map[netip.Addr]identity.NumericIdentity
	byLabels  map[string]identity.NumericIdentity
	namedPort ciliumtypes.NamedPortMultiMap
}

type pod struct {
	id    identity.NumericIdentity
	node  string
	host  bool
	ports ciliumtypes.NamedPortMap
}

// nameLabels is a namespace as Cilium's functions want it.
type nameLabels struct{ Namespace }

func (n nameLabels) GetName() string              { return n.Name }
func (n nameLabels) GetLabels() map[string]string { return n.Labels }

// firstPod is the first number that is not reserved.
const firstPod = 256

func newWorld(c *Case, selectors []api.FQDNSelector, groups []cilium.CiliumCIDRGroup) (*world, error) {
	w := &world{
		identities: identity.ListReservedIdentities(),
		pods:       map[string]*pod{},
		nodes:      map[netip.Addr]string{},
		hostLabels: map[string]map[string]string{},
		nodeLabels: map[string]labels.Labels{},
		remote:     map[string]identity.NumericIdentity{},
		outside:    map[netip.Addr]identity.NumericIdentity{},
		byLabels:   map[string]identity.NumericIdentity{},
	}
	if err := w.addPods(c); err != nil {
		return nil, err
	}
	if err := w.addNodes(c); err != nil {
		return nil, err
	}
	return w, w.addOutside(c, selectors, groups)
}

func (w *world) addPods(c *Case) error {
	namespaces := map[string]Namespace{}
	for _, namespace := range c.Namespaces {
		namespaces[namespace.Name] = namespace
	}
	ports := ciliumtypes.NewNamedPortMultiMap()
	for _, source := range c.Pods {
		namespace := Namespace{Name: source.Namespace, Labels: map[string]string{}}
		for key, value := range namespaces[source.Namespace].Labels {
			namespace.Labels[key] = value
		}
		namespace.Labels["kubernetes.io/metadata.name"] = source.Namespace
		sanitized := k8sutils.SanitizePodLabels(source.Labels, nameLabels{namespace}, source.ServiceAccount, clusterName)
		kept, _ := labelsfilter.Filter(labels.Map2Labels(sanitized, labels.LabelSourceK8s))
		named := ciliumtypes.NamedPortMap{}
		for _, port := range source.Ports {
			if port.Name != "" {
				if err := named.AddPort(port.Name, port.Port, port.Protocol); err != nil {
					return err
				}
			}
		}
		// Pods of one identity share their ports, or Cilium would not resolve names of theirs.
		key := kept.String() + fmt.Sprint(source.Ports)
		id, known := w.byLabels[key]
		if !known {
			id = identity.NumericIdentity(firstPod + len(w.byLabels))
			w.byLabels[key] = id
			w.identities[id] = identity.NewIdentity(id, kept).LabelArray
		}
		w.pods[source.Namespace+"/"+source.Name] = &pod{id: id, node: source.Node, host: source.HostNetwork, ports: named}
		if !source.HostNetwork {
			ports.Update(id, nil, named)
		}
	}
	w.namedPort = ports
	return nil
}

func (w *world) isAPIServer(c *Case, address netip.Addr) bool {
	for _, text := range c.APIServer {
		if text == address.String() {
			return true
		}
	}
	return false
}

func (w *world) addNodes(c *Case) error {
	for index, node := range c.Nodes {
		address, err := netip.ParseAddr(node.IP)
		if err != nil {
			return err
		}
		w.nodes[address] = node.Name
		w.hostLabels[node.Name] = node.Labels
		isAPIServer := w.isAPIServer(c, address)
		switch {
		case c.Options.NodeSelectorLabels:
			id := identity.IdentityScopeRemoteNode + identity.NumericIdentity(index+1)
			// As pkg/node/manager (nodeIdentityLabels) does.
			own := labels.Labels{}
			kept, _ := labelsfilter.FilterNodeLabels(labels.Map2Labels(node.Labels, labels.LabelSourceNode))
			own.MergeLabels(kept)
			own.MergeLabels(labels.Map2Labels(map[string]string{"io.cilium.k8s.policy.cluster": clusterName}, labels.LabelSourceK8s))
			w.nodeLabels[node.Name] = own
			lbls := labels.NewFrom(own)
			lbls[labels.IDNameRemoteNode] = labels.NewLabel(labels.IDNameRemoteNode, "", labels.LabelSourceReserved)
			if isAPIServer {
				lbls[labels.IDNameKubeAPIServer] = labels.NewLabel(labels.IDNameKubeAPIServer, "", labels.LabelSourceReserved)
			}
			w.remote[node.Name] = id
			w.identities[id] = identity.NewIdentity(id, lbls).LabelArray
		case isAPIServer:
			id := identity.ReservedIdentityKubeAPIServer
			lbls := labels.Labels{
				labels.IDNameKubeAPIServer: labels.NewLabel(labels.IDNameKubeAPIServer, "", labels.LabelSourceReserved),
				labels.IDNameRemoteNode:    labels.NewLabel(labels.IDNameRemoteNode, "", labels.LabelSourceReserved),
			}
			w.remote[node.Name] = id
			w.identities[id] = identity.NewIdentity(id, lbls).LabelArray
		default:
			w.remote[node.Name] = identity.ReservedIdentityRemoteNode
		}
	}
	return nil
}

func (w *world) addOutside(c *Case, selectors []api.FQDNSelector, groups []cilium.CiliumCIDRGroup) error {
	for _, probe := range c.Probes {
		for _, end := range []End{probe.From, probe.To} {
			if end.Pod != "" || w.nodes[end.IP] != "" {
				continue
			}
			if _, known := w.outside[end.IP]; known {
				continue
			}
			lbls := labels.GetCIDRLabels(netip.PrefixFrom(end.IP, end.IP.BitLen()))
			lbls.AddWorldLabel(end.IP)
			if w.isAPIServer(c, end.IP) {
				lbls[labels.IDNameKubeAPIServer] = labels.NewLabel(labels.IDNameKubeAPIServer, "", labels.LabelSourceReserved)
			}
			if err := addNames(lbls, c.Names[end.IP.String()], selectors); err != nil {
				return err
			}
			addGroups(lbls, end.IP, groups)
			id := identity.IdentityScopeLocal + identity.NumericIdentity(len(w.outside)+1)
			w.outside[end.IP] = id
			w.identities[id] = identity.NewIdentity(id, lbls).LabelArray
		}
	}
	return nil
}

// addNames gives an address the label of each selector that means one of its names.
func addNames(lbls labels.Labels, names []string, selectors []api.FQDNSelector) error {
	for _, selector := range selectors {
		pattern, err := selector.ToRegex()
		if err != nil {
			return err
		}
		for _, name := range names {
			full := strings.ToLower(strings.TrimSuffix(name, ".")) + "."
			if pattern.MatchString(full) {
				label := selector.IdentityLabel()
				lbls["fqdn:"+label.Key] = label
			}
		}
	}
	return nil
}

// addGroups gives an address the labels of the groups that it is in.
func addGroups(lbls labels.Labels, address netip.Addr, groups []cilium.CiliumCIDRGroup) {
	for _, group := range groups {
		for _, text := range group.Spec.ExternalCIDRs {
			prefix, err := netip.ParsePrefix(string(text))
			if err != nil || !prefix.Contains(address) {
				continue
			}
			name := api.LabelForCIDRGroupRef(group.Name)
			lbls[name.Key] = name
			for key, value := range group.Labels {
				label := labels.NewLabel(key, value, labels.LabelSourceCIDRGroup)
				lbls["cidrgroup:"+label.Key] = label
				encoded := labels.EncodedCIDRGroupLabel(label.Key, label.Value, label.Source)
				lbls[encoded.Key] = encoded
			}
		}
	}
}

// subjectOf is whose policies judge an end: a pod's own, or with the host's firewall those of its node. None for other ends.
func (w *world) subjectOf(end End) (*pod, error) {
	node := w.nodes[end.IP]
	if end.Pod != "" {
		known := w.pods[end.Pod]
		if known == nil {
			return nil, fmt.Errorf("no pod %s", end.Pod)
		}
		if !known.host {
			return known, nil
		}
		node = known.node
	}
	if node == "" || !option.Config.EnableHostFirewall {
		return nil, nil
	}
	return &pod{node: node, host: true}, nil
}

// hostEndpoint is a node's own endpoint, labelled as InitWithNodeLabels of pkg/endpoint does.
func (w *world) hostEndpoint(node string) *identity.Identity {
	kept, _ := labelsfilter.Filter(labels.Map2Labels(w.hostLabels[node], labels.LabelSourceK8s))
	lbls := labels.NewFrom(labels.LabelHost)
	lbls.MergeLabels(kept)
	return identity.NewIdentity(identity.ReservedIdentityHost, lbls)
}

// seenFrom is who is who on a node, whose own identity has its labels.
func (w *world) seenFrom(node string) identity.IdentityMap {
	own, known := w.nodeLabels[node]
	if !known {
		return w.identities
	}
	seen := maps.Clone(w.identities)
	lbls := labels.NewFrom(own)
	lbls[labels.IDNameHost] = labels.NewLabel(labels.IDNameHost, "", labels.LabelSourceReserved)
	seen[identity.ReservedIdentityHost] = identity.NewIdentity(identity.ReservedIdentityHost, lbls).LabelArray
	return seen
}

// numberOf is the number of an end of a connection as seen from a node.
func (w *world) numberOf(end End, from string) (identity.NumericIdentity, error) {
	if end.Pod != "" {
		pod := w.pods[end.Pod]
		switch {
		case pod == nil:
			return 0, fmt.Errorf("no pod %s", end.Pod)
		case !pod.host:
			return pod.id, nil
		default:
			return w.nodeNumber(pod.node, from), nil
		}
	}
	if node, known := w.nodes[end.IP]; known {
		return w.nodeNumber(node, from), nil
	}
	return w.outside[end.IP], nil
}

func (w *world) nodeNumber(node, from string) identity.NumericIdentity {
	if node == from {
		return identity.ReservedIdentityHost
	}
	return w.remote[node]
}
