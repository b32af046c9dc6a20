package devrun

import (
	"os"
	"os/exec"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The CLI's question to the one host it asks is cut short only when that cannot be reached.
func TestOfflineModule(t *testing.T) {
	t.Parallel()
	node, err := exec.LookPath("node")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip(err)
	}

	// The fetch underneath fails with the code in CODE, or else answers.
	const network = `globalThis.fetch = async () => {
		if (!process.env.CODE) return new Response("real");
		throw Object.assign(new TypeError("fetch failed"), { cause: { code: process.env.CODE } });
	};`
	const call = `const input = process.env.REQUEST ? new Request(process.argv[1]) : process.argv[1];
		fetch(input).then(
			async (r) => console.log(r.status, r.headers.get("x-should-retry"), await r.text(), process.execArgv.length),
			(e) => console.log(e.message, e.cause.code, process.execArgv.length));`

	for name, tc := range map[string]struct{ url, code, request, want string }{
		"answers":           {"https://jsonhero.io/j", "", "", "200 null real 0\n"},
		"no such host":      {"https://jsonhero.io/j", "ENOTFOUND", "", "404 false  0\n"},
		"request object":    {"https://jsonhero.io/j", "EAI_AGAIN", "1", "404 false  0\n"},
		"connect timeout":   {"https://jsonhero.io/j", "UND_ERR_CONNECT_TIMEOUT", "", "404 false  0\n"},
		"lost half-way":     {"https://jsonhero.io/j", "ECONNRESET", "", "fetch failed ECONNRESET 0\n"},
		"another host":      {"https://example.com/j", "ENOTFOUND", "", "fetch failed ENOTFOUND 0\n"},
		"our server":        {"http://127.0.0.1:3030/", "ECONNREFUSED", "", "fetch failed ECONNREFUSED 0\n"},
		"the name in a URL": {"https://example.com/jsonhero.io", "ENOTFOUND", "", "fetch failed ENOTFOUND 0\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			cmd := exec.Command(node, "--import", moduleURL([]byte(network)), "--import", moduleURL(offlineModule), "-e", call, tc.url)
			cmd.Env = append(os.Environ(), "CODE="+tc.code, "REQUEST="+tc.request)
			got, err := cmd.CombinedOutput()
			if err != nil {
				t.Fatalf("%v\n%s", err, got)
			}
			if diff := cmp.Diff(tc.want, string(got)); diff != "" {
				t.Error(diff)
			}
		})
	}
}
