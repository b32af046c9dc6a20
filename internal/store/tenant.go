package store

import (
	"errors"
	"time"

	"sear/internal/fault"
	"sear/internal/id"
	"sear/internal/sqldb"
	"sear/internal/tenant"
)

// HintTenant is the topic, with an empty key, that announces a change to
// environments or credentials. Whoever keeps either in memory forgets them then.
const HintTenant = "tenant"

// SetUp claims an empty store for the first set-up: first is true for exactly one of
// all the nodes that start on it, and the others wait for that one's transaction.
// sealed is kept to recognise a wrong sealing key later.
func (tx *Tx) SetUp(sealed []byte, now time.Time) (first bool, err error) {
	n, err := tx.Exec(`INSERT INTO instance (id, sealed, created_at) VALUES (1, $1, $2) ON CONFLICT (id) DO NOTHING`, sealed, now.UnixMicro())
	return n == 1, err
}

// Instance reads what SetUp kept, fault.NotFound while the store is empty.
func (tx *Tx) Instance() (sealed []byte, err error) {
	err = tx.QueryRow(`SELECT sealed FROM instance WHERE id = 1`).Scan(&sealed)
	if errors.Is(err, sqldb.ErrNoRows) {
		return nil, fault.New(fault.NotFound, "The store has not been set up")
	}
	return sealed, err
}

// AddOrganization inserts an organisation.
func (tx *Tx) AddOrganization(o tenant.Organization) error {
	_, err := tx.Exec(`INSERT INTO org (id, slug, title, created_at) VALUES ($1, $2, $3, $4)`, o.ID, o.Slug, o.Title, o.CreatedAt.UnixMicro())
	return err
}

// AddProject inserts a project. Its reference must be new.
func (tx *Tx) AddProject(p tenant.Project) error {
	_, err := tx.Exec(`INSERT INTO project (id, org_id, ref, slug, name, created_at) VALUES ($1, $2, $3, $4, $5, $6)`,
		p.ID, p.OrgID, p.Ref, p.Slug, p.Name, p.CreatedAt.UnixMicro())
	return err
}

const projectColumns = `p.id, p.org_id, p.ref, p.slug, p.name, p.created_at, o.slug, o.title, o.created_at`

func projectTargets(p *tenant.Project, o *tenant.Organization) []any {
	return []any{&p.ID, &p.OrgID, &p.Ref, &p.Slug, &p.Name, instant(&p.CreatedAt), &o.Slug, &o.Title, instant(&o.CreatedAt)}
}

// MemberProject reads a project by its reference, if the user belongs to its
// organisation. To others it does not exist: fault.NotFound.
func (tx *Tx) MemberProject(userID, ref string) (tenant.Project, tenant.Organization, error) {
	return tx.oneProject(`SELECT `+projectColumns+` FROM project p JOIN org o ON o.id = p.org_id
		JOIN org_member m ON m.org_id = p.org_id WHERE p.ref = $1 AND m.account_id = $2`, ref, userID)
}

// ProjectByRef reads a project by its reference, whoever it belongs to: it is for
// whoever has the store itself.
func (tx *Tx) ProjectByRef(ref string) (tenant.Project, tenant.Organization, error) {
	return tx.oneProject(`SELECT `+projectColumns+` FROM project p JOIN org o ON o.id = p.org_id WHERE p.ref = $1`, ref)
}

// FirstProject reads the oldest project: the one made when the store was set up.
func (tx *Tx) FirstProject() (tenant.Project, tenant.Organization, error) {
	return tx.oneProject(`SELECT ` + projectColumns + ` FROM project p JOIN org o ON o.id = p.org_id ORDER BY p.created_at, p.id LIMIT 1`)
}

func (tx *Tx) oneProject(query string, args ...any) (p tenant.Project, o tenant.Organization, err error) {
	err = tx.QueryRow(query, args...).Scan(projectTargets(&p, &o)...)
	if errors.Is(err, sqldb.ErrNoRows) {
		err = fault.New(fault.NotFound, "Project not found")
	}
	o.ID = p.OrgID
	return p, o, err
}

// AddEnvironment inserts an environment. added is false, and nothing changes, when
// the project has that root environment, or the parent that branch, already.
func (tx *Tx) AddEnvironment(e *tenant.Environment) (added bool, err error) {
	n, err := tx.Exec(`INSERT INTO env (id, org_id, project_id, parent_id, type, branch, concurrency_limit, paused, created_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT DO NOTHING`,
		e.ID, e.OrgID, e.ProjectID, orNull(e.ParentID), string(e.Type), orNull(e.Branch), e.ConcurrencyLimit, e.Paused, e.CreatedAt.UnixMicro())
	return n == 1, err
}

const envColumns = `e.id, e.parent_id, e.type, e.branch, e.concurrency_limit, e.paused, e.created_at, e.archived_at, ` + projectColumns

const envTables = `env e JOIN project p ON p.id = e.project_id JOIN org o ON o.id = e.org_id`

// scanEnvironment reads envColumns, and behind them what else was asked for.
func scanEnvironment(rs row, extra ...any) (*tenant.Environment, error) {
	e := &tenant.Environment{Project: &tenant.Project{}, Org: &tenant.Organization{}}
	dest := append([]any{&e.ID, text(&e.ParentID), &e.Type, text(&e.Branch), &e.ConcurrencyLimit, &e.Paused, instant(&e.CreatedAt),
		instant(&e.ArchivedAt)}, projectTargets(e.Project, e.Org)...)
	if err := rs.Scan(append(dest, extra...)...); err != nil {
		return nil, err
	}
	e.Slug, e.ProjectID, e.OrgID, e.Org.ID = e.Type.Slug(), e.Project.ID, e.Project.OrgID, e.Project.OrgID
	return e, nil
}

func (tx *Tx) oneEnvironment(query string, args ...any) (*tenant.Environment, error) {
	e, err := scanEnvironment(tx.QueryRow(query, args...))
	if errors.Is(err, sqldb.ErrNoRows) {
		return nil, fault.New(fault.NotFound, "Environment not found")
	}
	return e, err
}

// Environment reads an environment by its id, archived ones too.
func (tx *Tx) Environment(envID string) (*tenant.Environment, error) {
	return tx.oneEnvironment(`SELECT `+envColumns+` FROM `+envTables+` WHERE e.id = $1`, envID)
}

// RootEnvironment reads a project's root environment of a type.
func (tx *Tx) RootEnvironment(projectID string, t tenant.EnvType) (*tenant.Environment, error) {
	return tx.oneEnvironment(`SELECT `+envColumns+` FROM `+envTables+` WHERE e.project_id = $1 AND e.type = $2 AND e.parent_id IS NULL`,
		projectID, string(t))
}

// Branch reads a branch in use below a root environment.
func (tx *Tx) Branch(rootID, name string) (*tenant.Environment, error) {
	if !tenant.ValidBranch(name) { // none can have it, and Postgres might not even take it
		return nil, fault.New(fault.NotFound, "Branch not found")
	}
	return tx.oneEnvironment(`SELECT `+envColumns+` FROM `+envTables+` WHERE e.parent_id = $1 AND e.branch = $2 AND e.archived_at IS NULL`,
		rootID, name)
}

// LockEnvironment keeps other transactions that lock the environment waiting until
// this one ends, fault.NotFound when there is none of that id.
func (tx *Tx) LockEnvironment(envID string) error {
	var found string
	err := tx.QueryRow(`SELECT id FROM env WHERE id = $1 {{lock}}`, envID).Scan(&found)
	if errors.Is(err, sqldb.ErrNoRows) {
		return fault.New(fault.NotFound, "Environment not found")
	}
	return err
}

// OpenBranch returns the branch of that name below a root environment, and makes it,
// with the root's limits, if there is none in use.
func (tx *Tx) OpenBranch(root *tenant.Environment, name string, now time.Time) (*tenant.Environment, error) {
	b, err := tx.Branch(root.ID, name)
	if !fault.Is(err, fault.NotFound) {
		return b, err
	}
	_, err = tx.AddEnvironment(&tenant.Environment{
		ID: id.New(now), OrgID: root.OrgID, ProjectID: root.ProjectID, ParentID: root.ID, Type: root.Type, Branch: name,
		ConcurrencyLimit: root.ConcurrencyLimit, CreatedAt: now,
	})
	if err != nil {
		return nil, err
	}
	return tx.Branch(root.ID, name) // ours, or that of somebody who was quicker
}

// ArchiveBranch takes a branch out of use. Archiving again changes nothing.
func (tx *Tx) ArchiveBranch(envID string, now time.Time) error {
	_, err := tx.Exec(`UPDATE env SET archived_at = $1 WHERE id = $2 AND parent_id IS NOT NULL AND archived_at IS NULL`, now.UnixMicro(), envID)
	tx.Hint(HintTenant, "")
	return err
}
