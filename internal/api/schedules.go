package api

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"sear/internal/engine"
	"sear/internal/fault"
	"sear/internal/id"
	"sear/internal/rest"
	"sear/internal/schedule"
	"sear/internal/store"
	"sear/internal/tenant"
	"sear/internal/wire"
)

// generator is the cron expression of a schedule.
type generator struct {
	Type        string `json:"type"`
	Expression  string `json:"expression"`
	Description string `json:"description"`
}

func generatorOf(expression string) generator {
	g := generator{Type: "CRON", Expression: expression}
	if cron, err := schedule.Parse(expression); err == nil {
		g.Description = cron.Describe()
	}
	return g
}

// shownSchedule is a schedule as it stands in the caller's environment.
type shownSchedule struct {
	ID                 string        `json:"id"`
	Type               string        `json:"type"`
	Task               string        `json:"task"`
	Active             bool          `json:"active"`
	DeduplicationKey   string        `json:"deduplicationKey,omitempty"`
	ExternalID         string        `json:"externalId,omitempty"`
	Generator          generator     `json:"generator"`
	Timezone           string        `json:"timezone"`
	Window             string        `json:"window,omitempty"`
	NextRun            string        `json:"nextRun,omitempty"`
	NextRunEffectiveAt string        `json:"nextRunEffectiveAt,omitempty"`
	Environments       []scheduleEnv `json:"environments"`
	Misses             []miss        `json:"misses,omitempty"`
}

// scheduleEnv is an environment a schedule fires in.
type scheduleEnv struct {
	ID   string         `json:"id"`
	Type tenant.EnvType `json:"type"`
}

// miss is a row of occurrences that nothing came of: an addition of ours.
type miss struct {
	From   string `json:"from"`
	To     string `json:"to"`
	Count  int    `json:"count"`
	Reason string `json:"reason"`
}

func showSchedule(i store.Instance, envs []store.ScheduleEnv) shownSchedule {
	out := shownSchedule{
		ID: id.Friendly(id.Schedule, i.ID), Type: string(i.Type), Task: i.Task, Active: i.Active, ExternalID: i.ExternalID,
		Generator: generatorOf(i.Timing.Cron), Timezone: i.Timing.Timezone, Window: i.Timing.Window,
		NextRun: wire.ISO(i.Next), NextRunEffectiveAt: wire.ISO(i.Next), Environments: []scheduleEnv{},
	}
	if i.UserKey {
		out.DeduplicationKey = i.Key
	}
	for _, e := range envs {
		out.Environments = append(out.Environments, scheduleEnv(e))
	}
	return out
}

// sendSchedule answers with a schedule that was changed.
func (a *API) sendSchedule(w http.ResponseWriter, r *http.Request, i store.Instance, edit func(*shownSchedule)) error {
	var envs map[string][]store.ScheduleEnv
	err := a.store.View(r.Context(), func(tx *store.Tx) (err error) {
		envs, err = tx.ScheduleEnvs([]string{i.ID})
		return err
	})
	if err != nil {
		return err
	}
	out := showSchedule(i, envs[i.ID])
	if edit != nil {
		edit(&out)
	}
	return rest.JSON(w, http.StatusOK, out)
}

// scheduleBody is a wish for a schedule.
type scheduleBody struct {
	Task             *string `json:"task"`
	Cron             *string `json:"cron"`
	DeduplicationKey string  `json:"deduplicationKey"` // of a new one
	ExternalID       string  `json:"externalId"`
	Timezone         *string `json:"timezone"`
	Window           string  `json:"window"`
}

// Validate asks for the task and the expression.
func (b *scheduleBody) Validate() error {
	var p rest.Problems
	for _, field := range []struct {
		path  string
		value *string
	}{{"task", b.Task}, {"cron", b.Cron}} {
		if field.value == nil {
			p.Put(rest.Problem{Code: "invalid_type", Message: "Required", Path: field.path})
		}
	}
	texts := []struct{ path, value string }{{"task", deref(b.Task)}, {"cron", deref(b.Cron)}, {"deduplicationKey", b.DeduplicationKey},
		{"externalId", b.ExternalID}, {"timezone", deref(b.Timezone)}, {"window", b.Window}}
	for _, t := range texts {
		if !storable(t.value) {
			p.Add(t.path, "Null characters are not allowed")
		}
		if len(t.value) > wire.MaxKey {
			p.Add(t.path, fmt.Sprintf("%s must be %d characters or less", t.path, wire.MaxKey))
		}
	}
	return p.Err()
}

func deref(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// readSchedule reads a wish for a schedule.
func (a *API) readSchedule(r *http.Request) (engine.Schedule, error) {
	b, err := rest.Decode[scheduleBody](r, maxSmallBody)
	if err != nil {
		return engine.Schedule{}, rest.BodyIssues(err)
	}
	t := schedule.Timing{Cron: strings.TrimSpace(*b.Cron), Timezone: "UTC", Window: b.Window}
	if b.Timezone != nil {
		t.Timezone = *b.Timezone
	}
	return engine.Schedule{Task: *b.Task, Timing: t, Key: b.DeduplicationKey, ExternalID: b.ExternalID,
		Zones: a.origin(r) + zonesPath}, nil
}

// createSchedule serves POST /api/v1/schedules.
func (a *API) createSchedule(w http.ResponseWriter, r *http.Request) error {
	want, err := a.readSchedule(r)
	if err != nil {
		return err
	}
	i, err := a.engine.CreateSchedule(r.Context(), environment(r), want)
	if err != nil {
		return err
	}
	return a.sendSchedule(w, r, i, func(s *shownSchedule) { s.DeduplicationKey = i.Key })
}

// updateSchedule serves PUT /api/v1/schedules/{schedule}: it replaces the whole.
func (a *API) updateSchedule(w http.ResponseWriter, r *http.Request) error {
	scheduleID, err := a.scheduleParam(r)
	if err != nil {
		return err
	}
	want, err := a.readSchedule(r)
	if err != nil {
		return err
	}
	i, err := a.engine.UpdateSchedule(r.Context(), environment(r), scheduleID, want)
	if err != nil {
		return err
	}
	return a.sendSchedule(w, r, i, func(s *shownSchedule) { s.DeduplicationKey = i.Key })
}

// activateSchedule serves POST /api/v1/schedules/{schedule}/activate.
func (a *API) activateSchedule(w http.ResponseWriter, r *http.Request) error {
	return a.switchSchedule(w, r, true)
}

// deactivateSchedule serves POST /api/v1/schedules/{schedule}/deactivate.
func (a *API) deactivateSchedule(w http.ResponseWriter, r *http.Request) error {
	return a.switchSchedule(w, r, false)
}

func (a *API) switchSchedule(w http.ResponseWriter, r *http.Request, active bool) error {
	scheduleID, err := a.scheduleParam(r)
	if err != nil {
		return err
	}
	i, err := a.engine.SetScheduleActive(r.Context(), environment(r), scheduleID, active)
	if err != nil {
		return err
	}
	return a.sendSchedule(w, r, i, nil)
}

// deleteSchedule serves DELETE /api/v1/schedules/{schedule}.
func (a *API) deleteSchedule(w http.ResponseWriter, r *http.Request) error {
	scheduleID, err := a.scheduleParam(r)
	if err != nil {
		return err
	}
	if err := a.engine.DeleteSchedule(r.Context(), environment(r), scheduleID); err != nil {
		return err
	}
	return rest.JSON(w, http.StatusOK, idOnly{ID: id.Friendly(id.Schedule, scheduleID)})
}

// maxMisses is how many rows of misses a schedule is shown with.
//
//limit:schedules Rows of missed occurrences that a schedule is shown with | rows | the newest are shown
const maxMisses = 10

// getSchedule serves GET /api/v1/schedules/{schedule}.
func (a *API) getSchedule(w http.ResponseWriter, r *http.Request) error {
	scheduleID, err := a.scheduleParam(r)
	if err != nil {
		return err
	}
	var i store.Instance
	var misses []store.Miss
	err = a.store.View(r.Context(), func(tx *store.Tx) (err error) {
		if i, err = tx.Schedule(environment(r).ID, scheduleID); err != nil {
			return err
		}
		misses, err = tx.Misses(i.EnvID, i.ID, maxMisses)
		return err
	})
	if err != nil {
		return err
	}
	return a.sendSchedule(w, r, i, func(s *shownSchedule) {
		for _, m := range misses {
			s.Misses = append(s.Misses, miss{wire.ISO(m.From), wire.ISO(m.To), m.Count, m.Reason})
		}
	})
}

// scheduleParam is the internal id of the schedule that a path names: by its id, or, if the
// text does not begin as an id does, by its deduplication key.
func (a *API) scheduleParam(r *http.Request) (string, error) {
	name, err := param(r, "schedule")
	if err != nil {
		return "", err
	}
	if strings.HasPrefix(name, id.Schedule+"_") {
		internal, ok := id.Internal(id.Schedule, name)
		if !ok {
			return "", store.ErrNoSchedule
		}
		return internal, nil
	}
	if len(name) > wire.MaxKey { // nobody could choose it
		return "", store.ErrNoSchedule
	}
	var s *store.Schedule
	err = a.store.View(r.Context(), func(tx *store.Tx) (err error) {
		s, err = tx.ScheduleByKey(environment(r).ProjectID, name)
		return err
	})
	if err != nil {
		return "", err
	}
	if s == nil {
		return "", store.ErrNoSchedule
	}
	return s.ID, nil
}

// defaultSchedules is how many schedules a page has that names no size.
const defaultSchedules = 20

// listSchedules serves GET /api/v1/schedules.
func (a *API) listSchedules(w http.ResponseWriter, r *http.Request) error {
	q := newQuery(r)
	number, size := q.positive("page", 1), min(q.positive("perPage", defaultSchedules), maxPage)
	if q.problems != nil {
		return rest.WithField(fault.New(fault.Malformed, "Invalid request parameters"), "issues", q.problems)
	}
	out := numbered[shownSchedule]{Data: []shownSchedule{}}
	err := a.store.View(r.Context(), func(tx *store.Tx) error {
		list, count, err := tx.ListSchedules(environment(r).ID, (number-1)*size, size)
		if err != nil {
			return err
		}
		var ids []string
		for _, i := range list {
			ids = append(ids, i.ID)
		}
		envs, err := tx.ScheduleEnvs(ids)
		if err != nil {
			return err
		}
		for _, i := range list {
			out.Data = append(out.Data, showSchedule(i, envs[i.ID]))
		}
		out.Pagination = pageNumbersOf(number, size, count)
		return nil
	})
	if err != nil {
		return err
	}
	return rest.JSON(w, http.StatusOK, out)
}

// timezones serves GET /api/v1/timezones.
func (a *API) timezones(w http.ResponseWriter, r *http.Request) error {
	zones := schedule.Zones()
	if r.URL.Query().Get("excludeUtc") == "true" {
		zones = slices.DeleteFunc(slices.Clone(zones), func(zone string) bool { return zone == "UTC" })
	}
	return rest.JSON(w, http.StatusOK, struct {
		Timezones []string `json:"timezones"`
	}{zones})
}

// runSchedule is the schedule that triggered a run.
type runSchedule struct {
	ID               string    `json:"id"`
	ExternalID       string    `json:"externalId,omitempty"`
	DeduplicationKey string    `json:"deduplicationKey,omitempty"`
	Generator        generator `json:"generator"`
}

// readRunSchedule reads the schedule that triggered a run; nil when none did, or when
// it is no more.
func readRunSchedule(tx *store.Tx, d store.Detail) (*runSchedule, error) {
	if d.Extra.ScheduleID == "" {
		return nil, nil
	}
	i, err := tx.Schedule(d.EnvID, d.Extra.ScheduleID)
	if fault.Is(err, fault.NotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	s := showSchedule(i, nil)
	return &runSchedule{s.ID, s.ExternalID, s.DeduplicationKey, s.Generator}, nil
}
