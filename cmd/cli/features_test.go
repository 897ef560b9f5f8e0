package cli

import (
	"strings"
	"testing"
)

func TestParseRateAuto(t *testing.T) {
	tests := []struct {
		value string
		want  RateAuto
		ok    bool
		fail  string
	}{
		{"auto", RateAuto{On: true}, true, ""}, {"auto:5000", RateAuto{On: true, Most: 640000}, true, ""},
		{"auto:init=0x10:max=5000", RateAuto{On: true, Init: 2048, Most: 640000}, true, ""}, {"auto:max=5:init=5", RateAuto{On: true, Init: 640, Most: 640}, true, ""},
		{"auto:max=5G", RateAuto{On: true, Most: 625_000_000}, true, ""}, {"auto:init=10M:max=2.5G", RateAuto{On: true, Init: 1_250_000, Most: 312_500_000}, true, ""},
		{"auto:5G", RateAuto{On: true, Most: 625_000_000}, true, ""}, {"auto:max=5X", RateAuto{}, true, "Invalid rate"}, {"auto:5X", RateAuto{}, true, "Invalid max rate"},
		{"auto:init=1G:max=5000", RateAuto{}, true, "Invalid rate"},
		{"1000", RateAuto{}, false, ""}, {"", RateAuto{}, false, ""}, {"automatic", RateAuto{}, false, ""},
		{"auto:min=1", RateAuto{}, true, "Invalid rate type"}, {"auto:init=0", RateAuto{}, true, "Invalid rate"},
		{"auto:", RateAuto{}, true, "Invalid max rate"}, {"auto:init=6:max=5", RateAuto{}, true, "Invalid rate"},
	}
	for _, tt := range tests {
		r, ok, err := ParseRateAuto(tt.value)
		switch {
		case ok != tt.ok || (err != nil) != (tt.fail != ""):
			t.Errorf("%q: ok %v, %v, want %v, %q", tt.value, ok, err, tt.ok, tt.fail)
		case err == nil && r != tt.want:
			t.Errorf("%q: %+v, want %+v", tt.value, r, tt.want)
		case err != nil && !strings.HasPrefix(err.Error(), tt.fail+" (allowed"):
			t.Errorf("%q: %v, want %q", tt.value, err, tt.fail)
		}
	}
}

func TestCongestionControl(t *testing.T) {
	tests := []struct {
		value string
		tfmcc bool
		fail  string
	}{
		{"none", false, ""}, {"tfmcc", true, ""}, {"tfmcc:5000", true, ""}, {"tfmcc:min=0x10:init=100:max=5000", true, ""}, {"tfmcc:max=5000", true, ""},
		{"foo", false, "Invalid congestion control type"}, {"", false, "Invalid congestion control type"},
		{"tfmcc:foo=1", false, "Invalid rate type"}, {"tfmcc:min=0", false, "Invalid rate"}, {"tfmcc:0", false, "Invalid max rate"},
		{"tfmcc:max=1073741825", false, "Invalid rate"}, {"tfmcc:min=10:init=5", false, "Invalid rate"}, {"tfmcc:max=5G", true, ""}, {"tfmcc:max=5GB", false, "Invalid rate"}, {"tfmcc:min=10:max=5", false, "Invalid rate"},
	}
	for _, tt := range tests {
		var on bool
		err := CongestionControl(&on)(tt.value)
		switch {
		case tt.fail == "" && (err != nil || on != tt.tfmcc):
			t.Errorf("-C %q = %v, %v, want %v", tt.value, on, err, tt.tfmcc)
		case tt.fail != "" && (err == nil || !strings.HasPrefix(err.Error(), tt.fail+" (allowed")):
			t.Errorf("-C %q = %v, want %q", tt.value, err, tt.fail)
		}
	}
}

func TestExchange(t *testing.T) {
	var word string
	tests := []struct {
		set   func(string) error
		value string
		fail  string
	}{
		{Exchange(&word), "rsa", ""}, {Exchange(&word), "rsa:xyz", ""}, {Exchange(&word), "ecdh_rsa:secp521r1", ""}, {Exchange(&word), "ecdh_ecdsa", ""},
		{Exchange(&word), "dh", "Invalid keyextype"}, {Exchange(&word), "ecdh_rsa:secp224k1", "Invalid curve"}, {Exchange(&word), "ecdh_rsa:sect163k1", "Invalid curve"},
		{OneOf(&word, Ciphers, "Invalid keytype"), "aes256-gcm", ""}, {OneOf(&word, Ciphers, "Invalid keytype"), "AES256-GCM", "Invalid keytype"},
	}
	for _, tt := range tests {
		err := tt.set(tt.value)
		if tt.fail == "" && err != nil || tt.fail != "" && (err == nil || !strings.HasPrefix(err.Error(), tt.fail+" (allowed")) {
			t.Errorf("%q = %v, want %q", tt.value, err, tt.fail)
		}
	}
}
