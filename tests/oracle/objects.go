package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/netip"
	"slices"

	cmtypes "github.com/cilium/cilium/pkg/clustermesh/types"
	ipcachetypes "github.com/cilium/cilium/pkg/ipcache/types"
	"github.com/cilium/cilium/pkg/k8s"
	cilium "github.com/cilium/cilium/pkg/k8s/apis/cilium.io/v2"
	networking "github.com/cilium/cilium/pkg/k8s/slim/k8s/api/networking/v1"
	"github.com/cilium/cilium/pkg/labels"
	"github.com/cilium/cilium/pkg/loadbalancer"
	"github.com/cilium/cilium/pkg/policy/api"
	policyk8s "github.com/cilium/cilium/pkg/policy/k8s"
	"github.com/cilium/cilium/pkg/policy/types"
	"github.com/cilium/cilium/pkg/policy/utils"
	"github.com/cilium/statedb"
	admin "sigs.k8s.io/network-policy-api/apis/v1alpha2"
)

// object is a policy that Cilium accepts.
type object struct {
	resource ipcachetypes.ResourceID
	entries  types.PolicyEntries
}

// services are the tables by which Cilium resolves toServices.
type services struct {
	db       *statedb.DB
	services statedb.RWTable[*loadbalancer.Service]
	backends statedb.RWTable[*loadbalancer.Backend]
}

func newServices(sources []Service) (*services, error) {
	db := statedb.New()
	table, err := loadbalancer.NewServicesTable(loadbalancer.DefaultConfig, db)
	if err != nil {
		return nil, err
	}
	backends, err := loadbalancer.NewBackendsTable(db)
	if err != nil {
		return nil, err
	}
	txn := db.WriteTxn(table, backends)
	defer txn.Commit()
	for _, source := range sources {
		name := loadbalancer.NewServiceName(source.Namespace, source.Name)
		service := &loadbalancer.Service{
			Name:     name,
			Labels:   labels.Map2Labels(source.Labels, labels.LabelSourceK8s),
			Selector: source.Selector,
		}
		if _, _, err := table.Insert(txn, service); err != nil {
			return nil, err
		}
		for _, address := range source.Backends {
			parsed, err := netip.ParseAddr(address)
			if err != nil {
				return nil, err
			}
			cluster := cmtypes.AddrClusterFrom(parsed, 0)
			backend := &loadbalancer.Backend{
				ServiceName: name,
				Address:     loadbalancer.NewL3n4Addr(loadbalancer.TCP, cluster, 80, loadbalancer.ScopeExternal),
			}
			if _, _, err := backends.Insert(txn, backend); err != nil {
				return nil, err
			}
		}
	}
	return &services{db, table, backends}, nil
}

// resolve translates toServices as Cilium's watcher does before it parses a policy.
func (s *services) resolve(cnp *cilium.CiliumNetworkPolicy) {
	policyk8s.ResolveToServices(s.db.ReadTxn(), s.services, s.backends, cnp)
}

// read parses a policy; groups of blocks are no policies and give nothing.
func read(raw json.RawMessage, services *services) (*object, error) {
	var head struct {
		APIVersion string `json:"apiVersion"`
		Kind       string `json:"kind"`
	}
	if err := json.Unmarshal(raw, &head); err != nil {
		return nil, err
	}
	switch head.Kind {
	case "NetworkPolicy":
		var np networking.NetworkPolicy
		if err := json.Unmarshal(raw, &np); err != nil {
			return nil, err
		}
		entries, err := k8s.ParseNetworkPolicy(logger, clusterName, &np)
		if err != nil {
			return nil, err
		}
		namespace := np.Namespace
		if namespace == "" {
			namespace = "default"
		}
		return &object{ipcachetypes.NewResourceID(ipcachetypes.ResourceKindNetpol, namespace, np.Name), entries}, nil
	case "CiliumNetworkPolicy", "CiliumClusterwideNetworkPolicy":
		var cnp cilium.CiliumNetworkPolicy
		if err := json.Unmarshal(raw, &cnp); err != nil {
			return nil, err
		}
		kind := ipcachetypes.ResourceKindCNP
		if head.Kind == "CiliumNetworkPolicy" {
			if cnp.Namespace == "" {
				cnp.Namespace = "default"
			}
		} else {
			kind = ipcachetypes.ResourceKindCCNP
			cnp.Namespace = ""
		}
		services.resolve(&cnp)
		rules, err := cnp.Parse(logger, clusterName)
		if err != nil {
			return nil, err
		}
		return &object{ipcachetypes.NewResourceID(kind, cnp.Namespace, cnp.Name), utils.RulesToPolicyEntries(rules)}, nil
	case "ClusterNetworkPolicy":
		var cnp admin.ClusterNetworkPolicy
		if err := json.Unmarshal(raw, &cnp); err != nil {
			return nil, err
		}
		entries, err := k8s.ParseClusterNetworkPolicy(logger, clusterName, &cnp)
		if err != nil {
			return nil, err
		}
		return &object{ipcachetypes.NewResourceID(ipcachetypes.ResourceKindKCNP, "", cnp.Name), entries}, nil
	case "CiliumCIDRGroup":
		return nil, nil
	}
	return nil, fmt.Errorf("kind %s is not known", head.Kind)
}

// groups reads the groups of blocks. Of two with one name the later counts, as if both had been applied.
func groups(policies []json.RawMessage) []cilium.CiliumCIDRGroup {
	found := map[string]cilium.CiliumCIDRGroup{}
	for _, raw := range policies {
		var group cilium.CiliumCIDRGroup
		if err := json.Unmarshal(raw, &group); err == nil && group.Kind == "CiliumCIDRGroup" {
			found[group.Name] = group
		}
	}
	return slices.Collect(maps.Values(found))
}

// names gathers the selectors of names of some entries.
func names(entries types.PolicyEntries) []api.FQDNSelector {
	var found []api.FQDNSelector
	for _, entry := range entries {
		for _, peer := range entry.L3 {
			if selector, ok := peer.GetFQDNSelector(); ok {
				found = append(found, *selector)
			}
		}
	}
	return found
}
