package deploy

import (
	"strings"
	"time"
)

// Status is how far a deployment has come. The names are on the wire.
type Status string

// The statuses, in the order a deployment usually meets them.
const (
	Pending    Status = "PENDING"
	Installing Status = "INSTALLING"
	Building   Status = "BUILDING"
	Deploying  Status = "DEPLOYING"
	Deployed   Status = "DEPLOYED"
	Failed     Status = "FAILED"
	Canceled   Status = "CANCELED"
	TimedOut   Status = "TIMED_OUT"
)

// Statuses lists every status.
var Statuses = []Status{Pending, Installing, Building, Deploying, Deployed, Failed, Canceled, TimedOut}

// Final reports whether a deployment of this status will never change again.
func (s Status) Final() bool {
	return s == Deployed || s == Failed || s == Canceled || s == TimedOut
}

// Deployment is a build on its way to be a version that runs are executed with.
type Deployment struct {
	ID, EnvID  string
	Version    string
	ShortCode  string // how people find it in links; unique in its project
	Status     Status
	ExternalID string // names the version of something else, such as a web site's deployment, that belongs to this one
	WorkerID   string // once its tasks are known
	Request    string // idempotency key of the call that began it
	CreatedAt  time.Time
	Due        time.Time // when [Expire] must be decided; zero: never
	Spec
}

// Spec is the part of a deployment that nothing is looked up by.
type Spec struct {
	Kind           string `json:"kind,omitempty"` // MANAGED, or V1 for command lines that do not say
	ContentHash    string `json:"contentHash"`
	Image          string `json:"image,omitempty"`
	Platform       string `json:"platform,omitempty"`
	Runtime        string `json:"runtime,omitempty"`
	RuntimeVersion string `json:"runtimeVersion,omitempty"`
	TriggeredVia   string `json:"triggeredVia,omitempty"`
	Git            *Git   `json:"git,omitempty"`
	Build          Build  `json:"build,omitzero"`
	Error          *Error `json:"error,omitempty"`
	CanceledReason string `json:"canceledReason,omitempty"`

	StartedAt   time.Time `json:"startedAt,omitzero"`
	InstalledAt time.Time `json:"installedAt,omitzero"`
	BuiltAt     time.Time `json:"builtAt,omitzero"`
	DeployedAt  time.Time `json:"deployedAt,omitzero"`
	FailedAt    time.Time `json:"failedAt,omitzero"`
	CanceledAt  time.Time `json:"canceledAt,omitzero"`
}

// Git is where the code of a deployment comes from, as far as the client knows.
type Git struct {
	Provider          string   `json:"provider,omitempty"`
	Source            string   `json:"source,omitempty"`
	Username          string   `json:"ghUsername,omitempty"`
	AvatarURL         string   `json:"ghUserAvatarUrl,omitempty"`
	CommitAuthor      string   `json:"commitAuthorName,omitempty"`
	CommitMessage     string   `json:"commitMessage,omitempty"`
	CommitRef         string   `json:"commitRef,omitempty"`
	CommitSHA         string   `json:"commitSha,omitempty"`
	Dirty             *bool    `json:"dirty,omitempty"`
	RemoteURL         string   `json:"remoteUrl,omitempty"`
	PullRequestNumber *float64 `json:"pullRequestNumber,omitempty"`
	PullRequestTitle  string   `json:"pullRequestTitle,omitempty"`
	PullRequestState  string   `json:"pullRequestState,omitempty"`
}

// Build is what whoever builds a deployment has to know.
type Build struct {
	ID             string `json:"buildId,omitempty"`
	Native         bool   `json:"isNativeBuild,omitempty"` // built by the server, not by the client
	ArtifactKey    string `json:"artifactKey,omitempty"`
	ConfigFilePath string `json:"configFilePath,omitempty"`
	SkipPromotion  bool   `json:"skipPromotion,omitempty"`
	SkipEnqueue    bool   `json:"skipEnqueue,omitempty"`
	FromBundle     bool   `json:"fromBundle,omitempty"`
	RedeployOf     string `json:"redeployOf,omitempty"` // short code of another deployment
}

// Error is why a deployment failed.
type Error struct {
	Name    string `json:"name"`
	Message string `json:"message"`
	Stack   string `json:"stack,omitempty"`
	Stderr  string `json:"stderr,omitempty"`
}

// ImageTag is the name of a deployment's image. The host keeps clients from pushing
// it anywhere: there is no registry.
func ImageTag(projectRef, envType string, d Deployment) string {
	return "localhost/trigger/" + projectRef + ":" + d.Version + "." + strings.ToLower(envType) + "." + d.ShortCode
}

// Platform is what images are built for.
const Platform = "linux/amd64"

// MaxExternalID is the length of an external id in characters.
//
//limit:builds The external id of a deployment | characters | 400 externalId must be at most {} characters
const MaxExternalID = 128
