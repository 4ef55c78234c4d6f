// Oracle says what Cilium's own policy engine answers, so that other engines can be compared with it.
//
// It reads cases, one JSON object a line, on standard input and writes one line for each. A case has the shape of one in a
// case file; with file names as arguments, all cases of those files are answered instead, as people read it.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
)

// lineBytesMax bounds one case.
const lineBytesMax = 64 << 20

func main() {
	configure()
	var err error
	if len(os.Args) > 1 {
		err = files(os.Args[1:])
	} else {
		err = lines(os.Stdin, os.Stdout)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "oracle:", err)
		os.Exit(1)
	}
}

// lines answers cases as they come.
func lines(in io.Reader, out io.Writer) error {
	scanner := bufio.NewScanner(in)
	scanner.Buffer(nil, lineBytesMax)
	writer := bufio.NewWriter(out)
	encoder := json.NewEncoder(writer)
	for scanner.Scan() {
		var c Case
		if err := json.Unmarshal(scanner.Bytes(), &c); err != nil {
			return fmt.Errorf("case: %w", err)
		}
		answer, err := c.answer()
		if err != nil {
			answer = &Answer{Failed: err.Error()}
		}
		if err := encoder.Encode(answer); err != nil {
			return err
		}
		if err := writer.Flush(); err != nil {
			return err
		}
	}
	return scanner.Err()
}

// files answers the cases of files.
func files(names []string) error {
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		var file struct {
			Case
			Cases []Case `json:"cases"`
		}
		if err := json.Unmarshal(text, &file); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		for _, c := range file.Cases {
			c.inherit(&file.Case)
			answer, err := c.answer()
			if err != nil {
				return fmt.Errorf("%s: case %s: %w", name, c.ID, err)
			}
			for index, reason := range answer.Refused {
				fmt.Printf("%s: policies[%d] refused: %s\n", c.ID, index, reason)
			}
			for index, sides := range answer.Probes {
				probe := c.Probes[index]
				fmt.Printf("%s: %s -> %s %s/%d: egress %s, ingress %s\n", c.ID, probe.From, probe.To, probe.Proto, probe.port(), sides[0], sides[1])
			}
		}
	}
	return nil
}
