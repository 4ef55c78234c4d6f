package main

import (
	"fmt"
	"log/slog"
	"sync"

	"github.com/cilium/cilium/pkg/crypto/certificatemanager"
	"github.com/cilium/cilium/pkg/endpoint/regeneration"
	envoypolicy "github.com/cilium/cilium/pkg/envoy/policy"
	"github.com/cilium/cilium/pkg/identity"
	"github.com/cilium/cilium/pkg/identity/identitymanager"
	"github.com/cilium/cilium/pkg/labelsfilter"
	"github.com/cilium/cilium/pkg/option"
	"github.com/cilium/cilium/pkg/policy"
	"github.com/cilium/cilium/pkg/policy/api"
	testpolicy "github.com/cilium/cilium/pkg/testutils/policy"
	ciliumtypes "github.com/cilium/cilium/pkg/types"
	"github.com/cilium/cilium/pkg/u8proto"
)

const clusterName = "default"

var logger = slog.New(slog.DiscardHandler)

// configure sets what Cilium keeps in globals.
func configure() {
	policy.SetPolicyEnabled(option.DefaultEnforcement)
	api.InitEntities(clusterName)
	option.Config.ClusterName = clusterName
	option.Config.EnableIPv4 = true
	option.Config.EnableICMPRules = true
	option.Config.EnableSCTP = true
	option.Config.EnableL7Proxy = true
	option.Config.EnableNonDefaultDenyPolicies = true
	if err := labelsfilter.ParseLabelPrefixCfg(logger, nil, nil, ""); err != nil {
		panic(err)
	}
}

func (o Options) apply() {
	option.Config.EnableIPv6 = o.IPv6
	option.Config.EnableNodeSelectorLabels = o.NodeSelectorLabels
	option.Config.EnableExtendedIPProtocols = o.ExtendedProtocols
	option.Config.EnableHostFirewall = o.HostFirewall
	option.Config.UnsafeDaemonConfigOption.AllowLocalhost = option.AllowLocalhostAlways
	if o.DenyLocalhost {
		option.Config.UnsafeDaemonConfigOption.AllowLocalhost = option.AllowLocalhostPolicy
	}
}

// engine is Cilium's on one node, with what it has worked out for each subject. Pods of one identity share their ports here.
type engine struct {
	world    *world
	repo     *policy.Repository
	policies map[identity.NumericIdentity]*policy.EndpointPolicy
	failed   map[identity.NumericIdentity]error
}

// engines are those of the nodes; nodes that see the same share one.
type engines struct {
	world   *world
	objects []*object
	byNode  map[string]*engine
}

func (e *engines) of(node string) *engine {
	if len(e.world.nodeLabels) == 0 && !option.Config.EnableHostFirewall {
		node = ""
	}
	if known, ok := e.byNode[node]; ok {
		return known
	}
	made := newEngine(e.world, e.world.seenFrom(node), e.objects)
	e.byNode[node] = made
	return made
}

// answer judges a case. What is no valid object of the API may bring Cilium's code to panic: that is an error of the case.
func (c *Case) answer() (answer *Answer, err error) {
	defer func() {
		if caught := recover(); caught != nil {
			answer, err = nil, fmt.Errorf("panic: %v", caught)
		}
	}()
	return c.judge()
}

func (c *Case) judge() (*Answer, error) {
	if c.Options == nil {
		c.Options = &Options{}
	}
	c.Options.apply()
	answer := &Answer{Refused: map[int]string{}, Probes: [][2]string{}}
	services, err := newServices(c.Services)
	if err != nil {
		return nil, err
	}
	var objects []*object
	var selectors []api.FQDNSelector
	for index, raw := range c.Policies {
		object, err := read(raw, services)
		if err != nil {
			answer.Refused[index] = err.Error()
			continue
		}
		if object != nil {
			objects = append(objects, object)
			selectors = append(selectors, names(object.entries)...)
		}
	}
	world, err := newWorld(c, selectors, groups(c.Policies))
	if err != nil {
		return nil, err
	}
	engines := &engines{world, objects, map[string]*engine{}}
	for _, probe := range c.Probes {
		egress, err := engines.side(probe.From, probe.To, probe, false)
		if err != nil {
			return nil, err
		}
		ingress, err := engines.side(probe.To, probe.From, probe, true)
		if err != nil {
			return nil, err
		}
		answer.Probes = append(answer.Probes, [2]string{egress, ingress})
	}
	return answer, nil
}

func newEngine(world *world, identities identity.IdentityMap, objects []*object) *engine {
	translator := envoypolicy.NewEnvoyL7RulesTranslator(logger, certificatemanager.NewMockSecretManagerInline())
	repo := policy.NewPolicyRepository(logger, nil, nil, translator, identitymanager.NewIDManager(logger), testpolicy.NewPolicyMetricsNoop())
	repo.SetNamedPortsGetter(portsOf{world.namedPort})
	var wait sync.WaitGroup
	// Before the rules, which otherwise select nothing.
	repo.GetSelectorCache().UpdateIdentities(identities, nil, &wait)
	wait.Wait()
	repo.UpdateIdentities(identities, nil)
	for _, object := range objects {
		repo.ReplaceByResource(object.entries, object.resource)
	}
	return &engine{world, repo, map[identity.NumericIdentity]*policy.EndpointPolicy{}, map[identity.NumericIdentity]error{}}
}

// side judges one direction.
func (e *engines) side(of, peer End, probe Probe, ingress bool) (string, error) {
	subject, err := e.world.subjectOf(of)
	if err != nil || subject == nil {
		return "allow", err
	}
	number, err := e.world.numberOf(peer, subject.node)
	if err != nil {
		return "", err
	}
	if subject.host && number == identity.ReservedIdentityHost {
		// What stays on the node passes no firewall.
		return "allow", nil
	}
	resolved, err := e.of(subject.node).policy(subject)
	if err != nil {
		return "error: " + err.Error(), nil
	}
	proto, err := u8proto.ParseProtocol(probe.Proto)
	if err != nil {
		return "", err
	}
	key := policy.EgressKey()
	if ingress {
		key = policy.IngressKey()
	}
	entry, meta, found := resolved.Lookup(key.WithIdentity(number).WithPortProto(proto, probe.port()))
	switch {
	case !found:
		return "default-deny", nil
	case !entry.IsDeny():
		return "allow", nil
	}
	for _, list := range meta.LabelArray() {
		for _, label := range list {
			// What Cilium adds below all rules so that passing to it denies.
			if label.Value == policy.LabelDenyAnyIngress || label.Value == policy.LabelDenyAnyEgress {
				return "default-deny", nil
			}
		}
	}
	return "policy-deny", nil
}

func (e *engine) policy(pod *pod) (*policy.EndpointPolicy, error) {
	key := pod.id
	if pod.host {
		key = identity.ReservedIdentityHost
	}
	if known, ok := e.policies[key]; ok {
		return known, nil
	}
	if err, ok := e.failed[key]; ok {
		return nil, err
	}
	subject := identity.NewIdentityFromLabelArray(pod.id, e.world.identities[pod.id])
	if pod.host {
		subject = e.world.hostEndpoint(pod.node)
	}
	computed, _, err := e.repo.ComputeSelectorPolicy(subject)
	if err != nil {
		e.failed[key] = err
		return nil, err
	}
	resolved := computed.DistillPolicy(logger, owner{pod.ports, pod.host}, map[string]uint16{policy.FallbackRedirectID: 65535})
	resolved.Ready()
	e.policies[key] = resolved
	return resolved, nil
}

// portsOf gives the named ports of peers.
type portsOf struct{ ports ciliumtypes.NamedPortMultiMap }

func (p portsOf) GetNamedPorts() ciliumtypes.NamedPortMultiMap { return p.ports }

// owner is the endpoint whose policy is worked out.
type owner struct {
	ports ciliumtypes.NamedPortMap
	host  bool
}

func (o owner) GetID() uint64 { return 1 }

func (o owner) GetIngressNamedPort(name string, proto u8proto.U8proto) uint16 {
	port, err := o.ports.GetNamedPort(name, proto)
	if err != nil {
		return 0
	}
	return port
}

func (o owner) PolicyDebug(string, ...any) {}

func (o owner) IsHost() bool { return o.host }

func (o owner) PreviousMapStateSizes() policy.MapStateSizes { return policy.MapStateSizes{} }

func (o owner) RegenerateIfAlive(*regeneration.ExternalRegenerationMetadata) <-chan bool {
	done := make(chan bool)
	close(done)
	return done
}
