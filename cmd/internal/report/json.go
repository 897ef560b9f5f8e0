package report

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"time"
	"unicode/utf8"

	"uftp/cmd/cli"
)

// JSON writes one object a line. docs/events.md describes all events and fields; a field without a
// value is left out.
type JSON struct {
	w   io.Writer
	buf bytes.Buffer
	enc *json.Encoder
}

// NewJSON returns a JSON that writes each line to w with one Write.
func NewJSON(w io.Writer) *JSON {
	j := &JSON{w: w}
	j.enc = json.NewEncoder(&j.buf)
	j.enc.SetEscapeHTML(false)
	return j
}

// head is the beginning of every line.
type head struct {
	Time     string `json:"time"`
	Event    string `json:"event"`
	Group    string `json:"group,omitempty"`
	Instance *uint8 `json:"instance,omitempty"`
}

func newHead(at time.Time, event string, in Where) head {
	h := head{Time: at.UTC().Format("2006-01-02T15:04:05.000000Z"), Event: event}
	if in.Session {
		h.Group = fmt.Sprintf("%08X", in.Group)
		i := in.Instance
		h.Instance = &i
	}
	return h
}

// write writes v; a nil JSON writes nothing. v always encodes, and the caller of NewJSON watches
// its writer for failures.
func (j *JSON) write(v any) {
	if j == nil {
		return
	}
	j.buf.Reset()
	j.enc.Encode(v)
	j.w.Write(cli.CleanJSON(j.buf.Bytes()))
}

// raw returns the bytes of a name that is not UTF-8, which JSON cannot hold; encoding makes base64
// of them. For other names it returns nil.
func raw(name string) []byte {
	if utf8.ValidString(name) {
		return nil
	}
	return []byte(name)
}

// rawAll is raw for a list: all names or none.
func rawAll(names []string) (list [][]byte) {
	if !slices.ContainsFunc(names, func(s string) bool { return !utf8.ValidString(s) }) {
		return nil
	}
	for _, n := range names {
		list = append(list, []byte(n))
	}
	return list
}

// seconds is a time span in JSON, to the microsecond.
type seconds time.Duration

func (s seconds) MarshalJSON() ([]byte, error) {
	return fmt.Appendf(nil, "%.6f", time.Duration(s).Seconds()), nil
}

// Lines of the sender.
type (
	jsonRate struct {
		head
		Rate int64   `json:"rate"`
		Loss float64 `json:"loss"`
	}
	jsonSendStart struct {
		head
		Version   string `json:"version"`
		Public    string `json:"public"`
		Private   string `json:"private"`
		Interface string `json:"interface,omitempty"`
		Rate      int64  `json:"rate"` // bytes/s, 0 = no limit
		Adaptive  bool   `json:"adaptive,omitempty"`
		BlockSize int    `json:"block_size"`
		Closed    bool   `json:"closed"`
		RcvBuf    int    `json:"receive_buffer"`
		SndBuf    int    `json:"send_buffer"`
		GSO       bool   `json:"gso"`
		GRO       bool   `json:"gro"`

		Suite       string   `json:"suite,omitempty"`
		Security    string   `json:"security,omitempty"`
		Fingerprint string   `json:"fingerprint,omitempty"`
		Weak        []string `json:"weak,omitempty"`
	}
	jsonIdentified struct {
		head
		UID       string `json:"uid"`
		Interface string `json:"interface"`
	}
	jsonClient struct {
		head
		Receiver string   `json:"receiver,omitempty"`
		UID      string   `json:"uid"`
		Proxy    bool     `json:"proxy,omitempty"`
		RTT      *seconds `json:"rtt,omitempty"`
		In       string   `json:"in,omitempty"`
		Files    int      `json:"files,omitempty"`
		Text     string   `json:"text,omitempty"`

		Addresses []string `json:"addresses,omitempty"`
	}
	jsonRegistration struct {
		head
		Registered int `json:"registered"`
		Missing    int `json:"missing"`
	}
	jsonFileStart struct {
		head
		FileID    uint16 `json:"file_id"`
		File      string `json:"file"`
		NameBytes []byte `json:"name_bytes,omitempty"`
		Path      string `json:"path,omitempty"`
		PathBytes []byte `json:"path_bytes,omitempty"`
		Type      string `json:"type"`
		Link      string `json:"link,omitempty"`
		LinkBytes []byte `json:"link_bytes,omitempty"`
		Size      int64  `json:"size"`
		Blocks    int    `json:"blocks"`
		Sections  int    `json:"sections"`
		Sender    string `json:"sender,omitempty"`
		Resume    bool   `json:"resume,omitempty"`
		Sync      bool   `json:"sync,omitempty"`
		Preview   bool   `json:"preview,omitempty"`
		MTime     *int64 `json:"mtime,omitempty"`
	}
	jsonPass struct {
		head
		FileID  uint16  `json:"file_id"`
		Pass    int     `json:"pass"`
		Packets int64   `json:"packets"`
		Bytes   int64   `json:"bytes"`
		Elapsed seconds `json:"elapsed"`
	}
	jsonResult struct {
		head
		FileID    uint16   `json:"file_id"`
		File      string   `json:"file"`
		NameBytes []byte   `json:"name_bytes,omitempty"`
		Type      string   `json:"type"`
		Size      int64    `json:"size"`
		Receiver  string   `json:"receiver,omitempty"`
		UID       string   `json:"uid,omitempty"`
		Sender    string   `json:"sender,omitempty"`
		Status    string   `json:"status"`
		Elapsed   *seconds `json:"elapsed,omitempty"`
		NAKs      *int64   `json:"naks,omitempty"`
		FreeSpace *uint64  `json:"free_space,omitempty"`
		Text      string   `json:"text,omitempty"`
	}
	jsonFileEnd struct {
		head
		FileID    uint16  `json:"file_id"`
		File      string  `json:"file"`
		NameBytes []byte  `json:"name_bytes,omitempty"`
		Passes    int     `json:"passes"`
		Elapsed   seconds `json:"elapsed"`
		Error     string  `json:"error,omitempty"`
	}
	jsonText struct {
		head
		Path      string `json:"path,omitempty"`
		PathBytes []byte `json:"path_bytes,omitempty"`
		To        string `json:"to,omitempty"`
		Sender    string `json:"sender,omitempty"`
		Text      string `json:"text"`
	}
	jsonCount struct {
		head
		Count uint64 `json:"count"`
	}
	jsonLosses struct {
		head
		KernelDrops  uint64 `json:"kernel_drops"`
		Truncated    uint64 `json:"truncated"`
		GSOFallbacks uint64 `json:"gso_fallbacks"`
		RcvBuf       int    `json:"receive_buffer"`
	}
	jsonStopped struct {
		head
		Elapsed        seconds `json:"elapsed"`
		DatagramsSent  uint64  `json:"datagrams_sent"`
		DatagramsHeard uint64  `json:"datagrams_received"`
		UDPBytesHeard  uint64  `json:"udp_bytes_received"`
		KernelDrops    uint64  `json:"kernel_drops"`
		Truncated      uint64  `json:"truncated"`
		GSOFallbacks   uint64  `json:"gso_fallbacks"`
	}
	jsonFor struct {
		head
		Elapsed seconds `json:"elapsed"`
	}
	jsonSendEnd struct {
		head
		Exit           int     `json:"exit"`
		Reason         string  `json:"reason"`
		Elapsed        seconds `json:"elapsed"`
		Files          int     `json:"files"`
		Receivers      int     `json:"receivers"`
		Failed         int     `json:"failed"`
		Unconfirmed    int     `json:"unconfirmed"`
		BytesSent      int64   `json:"bytes_sent"`
		Retransmitted  int64   `json:"bytes_retransmitted"`
		Packets        int64   `json:"packets"`
		RepairPackets  int64   `json:"packets_retransmitted"`
		ControlPackets int64   `json:"control_packets"`
		NAKs           int64   `json:"naks"`
		DatagramsSent  uint64  `json:"datagrams_sent"`
		DatagramsHeard uint64  `json:"datagrams_received"`
		KernelDrops    uint64  `json:"kernel_drops"`
		UDPBytesSent   uint64  `json:"udp_bytes_sent"`
		Throughput     int64   `json:"throughput"`
	}
)

// Lines of the receiver.
type (
	jsonListening struct {
		head
		Version string `json:"version"`
		UID     string `json:"uid"`
		Port    uint16 `json:"port"`
		RcvBuf  int    `json:"receive_buffer"`
		GSO     bool   `json:"gso"`
		GRO     bool   `json:"gro"`
	}
	jsonSessionStart struct {
		head
		Sender  string `json:"sender"`
		From    string `json:"from"`
		Private string `json:"private"`
		Sync    bool   `json:"sync"`
		Preview bool   `json:"preview"`
	}
	jsonKeyed struct {
		head
		Sender      string   `json:"sender"`
		Suite       string   `json:"suite"`
		Security    string   `json:"security"`
		Fingerprint string   `json:"fingerprint"`
		Weak        []string `json:"weak,omitempty"`
	}
	jsonStored struct {
		head
		FileID    uint16  `json:"file_id"`
		File      string  `json:"file"`
		NameBytes []byte  `json:"name_bytes,omitempty"`
		Path      string  `json:"path"`
		PathBytes []byte  `json:"path_bytes,omitempty"`
		Elapsed   seconds `json:"elapsed"`
	}
	jsonMoved struct {
		head
		Paths      []string `json:"paths"`
		PathsBytes [][]byte `json:"paths_bytes,omitempty"`
	}
	jsonScript struct {
		head
		Script     string   `json:"script"`
		Paths      []string `json:"paths"`
		PathsBytes [][]byte `json:"paths_bytes,omitempty"`
		Exit       *int     `json:"exit,omitempty"`
		Signal     string   `json:"signal,omitempty"`
		TimedOut   bool     `json:"timed_out,omitempty"`
		Text       string   `json:"text,omitempty"`
		Elapsed    seconds  `json:"elapsed"`
	}
	jsonSessionEnd struct {
		head
		Sender string `json:"sender"`
		OK     bool   `json:"ok"`
		Reason string `json:"reason"`
	}
)
