package main

import (
	"encoding/json"
	"fmt"
	"net/netip"
)

// Case is a small cluster, policies, and connections to be judged.
type Case struct {
	ID         string              `json:"id"`
	Namespaces []Namespace         `json:"namespaces"`
	Pods       []Pod               `json:"pods"`
	Nodes      []Node              `json:"nodes"`
	Services   []Service           `json:"services"`
	Names      map[string][]string `json:"names"`
	APIServer  []string            `json:"api_server"`
	Options    *Options            `json:"options"`
	Policies   []json.RawMessage   `json:"policies"`
	Probes     []Probe             `json:"probes"`
}

// inherit takes what the case does not say of its world from its file.
func (c *Case) inherit(file *Case) {
	if c.Namespaces == nil {
		c.Namespaces = file.Namespaces
	}
	if c.Pods == nil {
		c.Pods = file.Pods
	}
	if c.Nodes == nil {
		c.Nodes = file.Nodes
	}
	if c.Services == nil {
		c.Services = file.Services
	}
	if c.Names == nil {
		c.Names = file.Names
	}
	if c.APIServer == nil {
		c.APIServer = file.APIServer
	}
	if c.Options == nil {
		c.Options = file.Options
	}
}

// Options are switches of Cilium that differ from how it is installed.
type Options struct {
	IPv6               bool `json:"ipv6"`
	NodeSelectorLabels bool `json:"node_selector_labels"`
	ExtendedProtocols  bool `json:"extended_protocols"`
	DenyLocalhost      bool `json:"deny_localhost"`
	HostFirewall       bool `json:"host_firewall"`
}

type Namespace struct {
	Name   string            `json:"name"`
	Labels map[string]string `json:"labels"`
}

type Pod struct {
	Namespace      string            `json:"namespace"`
	Name           string            `json:"name"`
	IP             string            `json:"ip"`
	Labels         map[string]string `json:"labels"`
	Ports          []Port            `json:"ports"`
	HostNetwork    bool              `json:"hostNetwork"`
	ServiceAccount string            `json:"serviceAccount"`
	Node           string            `json:"node"`
}

type Port struct {
	Name     string `json:"name"`
	Port     int    `json:"port"`
	Protocol string `json:"protocol"`
}

type Node struct {
	Name   string            `json:"name"`
	IP     string            `json:"ip"`
	Labels map[string]string `json:"labels"`
}

type Service struct {
	Namespace string            `json:"namespace"`
	Name      string            `json:"name"`
	Labels    map[string]string `json:"labels"`
	Selector  map[string]string `json:"selector"`
	Backends  []string          `json:"backends"`
}

type Probe struct {
	From     End    `json:"from"`
	To       End    `json:"to"`
	Proto    string `json:"proto"`
	Port     uint16 `json:"port"`
	ICMPType uint16 `json:"icmp_type"`
}

// port is where Cilium keeps the type of ICMP messages too.
func (p Probe) port() uint16 {
	if p.Proto == "ICMP" || p.Proto == "ICMPv6" {
		return p.ICMPType
	}
	return p.Port
}

// End is a pod's namespace and name, or an address.
type End struct {
	Pod string
	IP  netip.Addr
}

func (e End) String() string {
	if e.Pod != "" {
		return e.Pod
	}
	return e.IP.String()
}

func (e *End) UnmarshalJSON(text []byte) error {
	if len(text) > 0 && text[0] == '"' {
		return json.Unmarshal(text, &e.Pod)
	}
	var address struct {
		IP netip.Addr `json:"ip"`
	}
	if err := json.Unmarshal(text, &address); err != nil {
		return fmt.Errorf("end of a probe: %w", err)
	}
	e.IP = address.IP
	return nil
}

// Answer is what Cilium says.
type Answer struct {
	// Why the case could not be judged.
	Failed string `json:"failed,omitempty"`
	// Refused policies by position, with the reason.
	Refused map[int]string `json:"refused"`
	// Egress and ingress of each probe: allow, default-deny, policy-deny, or error and why.
	Probes [][2]string `json:"probes"`
}
