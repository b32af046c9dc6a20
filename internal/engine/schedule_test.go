package engine_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"sear/internal/deploy"
	"sear/internal/engine"
	"sear/internal/fault"
	"sear/internal/id"
	"sear/internal/run"
	"sear/internal/schedule"
	"sear/internal/sqldb/pgtest"
	"sear/internal/store"
	"sear/internal/tenant"
)

// scheduled is a manifest with tasks that declare a schedule, and "hello", which schedules may trigger.
func scheduled(crons map[string]deploy.Schedule) deploy.Manifest {
	m := manifest("plain")
	m.Tasks = append(m.Tasks, deploy.Task{ID: "hello", FilePath: "a.ts", TriggerSource: "schedule"})
	for task, s := range crons {
		m.Tasks = append(m.Tasks, deploy.Task{ID: task, FilePath: "a.ts", TriggerSource: "schedule", Schedule: &s})
	}
	return m
}

func timing(cron, zone string) schedule.Timing { return schedule.Timing{Cron: cron, Timezone: zone} }

func (r *rig) schedule(cron string) store.Instance {
	r.t.Helper()
	return must(r.CreateSchedule(r.ctx, r.env, engine.Schedule{Task: "hello", Timing: timing(cron, "UTC")}))(r.t)
}

func (r *rig) read(scheduleID string) (store.Instance, []store.Miss) {
	r.t.Helper()
	var i store.Instance
	var misses []store.Miss
	r.ok(r.st.View(r.ctx, func(tx *store.Tx) (err error) {
		if i, err = tx.Schedule(r.env.ID, scheduleID); err != nil {
			return err
		}
		misses, err = tx.Misses(r.env.ID, scheduleID, 100)
		return err
	}))
	return i, misses
}

// told is what a scheduled run was told.
type told struct {
	Type, ScheduleID, ExternalID, Timezone string
	Timestamp                              time.Time
	LastTimestamp                          *time.Time
	Upcoming                               []time.Time
}

// fired are the runs of a schedule, oldest first.
func (r *rig) fired(scheduleID string) (out []told) {
	r.t.Helper()
	for _, d := range r.firedRuns(scheduleID) {
		var packet struct{ JSON told }
		r.ok(json.Unmarshal([]byte(d.Payload.Data), &packet))
		out = append(out, packet.JSON)
	}
	return out
}

func (r *rig) firedRuns(scheduleID string) (out []store.Detail) {
	r.t.Helper()
	r.ok(r.st.View(r.ctx, func(tx *store.Tx) error {
		page := store.Page{Size: 100}
		for {
			l, err := tx.ListRuns(store.RunFilter{Envs: []string{r.env.ID}, Schedule: scheduleID}, page)
			if err != nil {
				return err
			}
			for _, d := range l.Items {
				if d, err = tx.Detail(r.env.ID, d.ID); err != nil {
					return err
				}
				out = append(out, d)
			}
			if page.After = l.Next; page.After == "" {
				return nil
			}
		}
	}))
	slices.Reverse(out)
	return out
}

// at are the nominal times of fires, without their date.
func at(fires []told) string {
	var out []string
	for _, f := range fires {
		out = append(out, f.Timestamp.Format("15:04"))
	}
	return strings.Join(out, " ")
}

// The clock of a bubble begins at midnight, 1 January 2000.

func TestScheduleFires(t *testing.T) {
	t.Parallel()
	inBubble(t, tenant.Production, func(t *testing.T, r *rig) {
		r.register(scheduled(nil))
		s := must(r.CreateSchedule(r.ctx, r.env, engine.Schedule{Task: "hello", Timing: timing("*/30 * * * *", "Europe/Berlin"),
			Key: "k", ExternalID: "ext"}))(t)
		time.Sleep(65 * time.Minute)
		synctest.Wait()
		runs := r.firedRuns(s.ID)
		if len(runs) != 2 {
			t.Fatalf("%d runs", len(runs))
		}
		first := time.Date(2000, 1, 1, 0, 30, 0, 0, time.UTC)
		d := runs[0]
		if d.Task != "hello" || d.Extra.Source != "schedule" || d.Score != first.UnixMilli() || d.CreatedAt.Sub(first) > time.Second {
			t.Errorf("the run is %+v", d)
		}
		want := `{"json":{"type":"IMPERATIVE","timestamp":"2000-01-01T01:00:00.000Z","lastTimestamp":"2000-01-01T00:30:00.000Z",` +
			`"timezone":"Europe/Berlin","scheduleId":"` + id.Friendly(id.Schedule, s.ID) + `","externalId":"ext","upcoming":[` +
			`"2000-01-01T01:30:00.000Z","2000-01-01T02:00:00.000Z","2000-01-01T02:30:00.000Z","2000-01-01T03:00:00.000Z",` +
			`"2000-01-01T03:30:00.000Z","2000-01-01T04:00:00.000Z","2000-01-01T04:30:00.000Z","2000-01-01T05:00:00.000Z",` +
			`"2000-01-01T05:30:00.000Z","2000-01-01T06:00:00.000Z"]},"meta":{"values":{"lastTimestamp":["Date"],"timestamp":["Date"],` +
			`"upcoming.0":["Date"],"upcoming.1":["Date"],"upcoming.2":["Date"],"upcoming.3":["Date"],"upcoming.4":["Date"],` +
			`"upcoming.5":["Date"],"upcoming.6":["Date"],"upcoming.7":["Date"],"upcoming.8":["Date"],"upcoming.9":["Date"]}}}`
		if got := runs[1].Payload; got.Data != want || got.Type != run.TypeSuper {
			t.Errorf("the payload is %s, a %s", got.Data, got.Type)
		}
		if f := r.fired(s.ID)[0]; f.LastTimestamp != nil {
			t.Errorf("the first fire was told of one before: %v", f.LastTimestamp)
		}
		r.check(runs[0].ID, runs[1].ID)
	})
}

func TestScheduleSwitchedOff(t *testing.T) {
	t.Parallel()
	inBubble(t, tenant.Production, func(t *testing.T, r *rig) {
		r.register(scheduled(nil))
		s := r.schedule("*/10 * * * *")
		time.Sleep(15 * time.Minute)
		must(r.SetScheduleActive(r.ctx, r.env, s.ID, false))(t)
		time.Sleep(30 * time.Minute) // now 00:45
		if got := at(r.fired(s.ID)); got != "00:10" {
			t.Errorf("switched off it fired at %s", got)
		}
		if i, _ := r.read(s.ID); i.Next.Format("15:04") != "00:50" {
			t.Errorf("switched off it stands at %s", i.Next)
		}
		i := must(r.SetScheduleActive(r.ctx, r.env, s.ID, true))(t)
		if !i.Active || i.Next.Format("15:04") != "00:50" {
			t.Errorf("switched on it is %+v", i)
		}
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		if got := at(r.fired(s.ID)); got != "00:10 00:50" {
			t.Errorf("it fired at %s", got)
		}
		r.ok(r.DeleteSchedule(r.ctx, r.env, s.ID))
		time.Sleep(30 * time.Minute)
		if got := at(r.fired(s.ID)); got != "00:10 00:50" {
			t.Errorf("deleted it fired at %s", got)
		}
	})
}

// TestScheduleInDevelopment: nobody's laptop is there, then it is, then it is gone, and so
// is the server for a while.
func TestScheduleInDevelopment(t *testing.T) {
	t.Parallel()
	inBubble(t, tenant.Development, func(t *testing.T, r *rig) {
		r.register(scheduled(nil))
		s := r.schedule("* * * * *")
		time.Sleep(3*time.Minute + 50*time.Second)
		for range 10 { // until 00:05:30
			r.ok(r.See(r.ctx, r.env))
			time.Sleep(10 * time.Second)
		}
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		if got := at(r.fired(s.ID)); got != "00:04 00:05" {
			t.Errorf("it fired at %s", got)
		}
		r.stop()
		time.Sleep(10 * time.Minute)
		r.start(t, engine.Options{})
		time.Sleep(time.Minute)
		synctest.Wait()
		day := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
		want := []store.Miss{
			{Gap: schedule.Gap{From: day.Add(26 * time.Minute), To: day.Add(26 * time.Minute), Count: 1}, Reason: "No CLI was connected"},
			{Gap: schedule.Gap{From: day.Add(16 * time.Minute), To: day.Add(25 * time.Minute), Count: 10}, Reason: "The server was away, and no CLI connected when it was back"},
			{Gap: schedule.Gap{From: day.Add(6 * time.Minute), To: day.Add(15 * time.Minute), Count: 10}, Reason: "No CLI was connected"},
			{Gap: schedule.Gap{From: day.Add(time.Minute), To: day.Add(3 * time.Minute), Count: 3}, Reason: "No CLI was connected"},
		}
		if i, misses := r.read(s.ID); !slices.Equal(misses, want) || time.Until(i.Next) > time.Minute {
			t.Errorf("it stands at %s and missed %+v", i.Next, misses)
		}
	})
}

func TestScheduleOfArchivedBranchEnds(t *testing.T) {
	t.Parallel()
	inBubble(t, tenant.Preview, func(t *testing.T, r *rig) {
		root := r.env
		r.ok(r.st.Update(r.ctx, func(tx *store.Tx) (err error) {
			r.env, err = tx.OpenBranch(root, "feat", time.Now())
			return err
		}))
		r.register(scheduled(nil))
		s := r.schedule("* * * * *")
		time.Sleep(90 * time.Second)
		r.ok(r.st.Update(r.ctx, func(tx *store.Tx) error { return tx.ArchiveBranch(r.env.ID, time.Now()) }))
		time.Sleep(5 * time.Minute)
		if got := at(r.fired(s.ID)); got != "00:01" {
			t.Errorf("it fired at %s", got)
		}
		if i, _ := r.read(s.ID); !i.Next.IsZero() {
			t.Errorf("it goes on at %s", i.Next)
		}
	})
}

// TestScheduleThatFailsGoesOn: an occurrence that cannot be triggered is recorded, and
// the next one is not hurt by it. A timing that can no longer be read ends.
func TestScheduleThatFailsGoesOn(t *testing.T) {
	t.Parallel()
	inBubble(t, tenant.Production, func(t *testing.T, r *rig) {
		r.register(scheduled(nil))
		s, broken := r.schedule("*/10 * * * *"), r.schedule("*/10 * * * *")
		r.ok(r.st.Update(r.ctx, func(tx *store.Tx) error {
			_, err := tx.Exec(`UPDATE schedule_instance SET timezone = 'Sea/Atlantis' WHERE schedule_id = $1`, broken.ID)
			return err
		}))
		r.stop()
		time.Sleep(10 * time.Minute)
		r.ok(r.OccurRefused(r.ctx, fault.New(fault.Invalid, "The queue is full")))
		r.start(t, engine.Options{})
		time.Sleep(15 * time.Minute)
		synctest.Wait()
		if got := at(r.fired(s.ID)); got != "00:20" {
			t.Errorf("it fired at %s", got)
		}
		ten := time.Date(2000, 1, 1, 0, 10, 0, 0, time.UTC)
		gap := schedule.Gap{From: ten, To: ten, Count: 1}
		if _, got := r.read(s.ID); !slices.Equal(got, []store.Miss{{Gap: gap, Reason: "The queue is full"}}) {
			t.Errorf("it missed %+v", got)
		}
		i, got := r.read(broken.ID)
		if !i.Next.IsZero() || !slices.Equal(got, []store.Miss{{Gap: gap, Reason: "Invalid IANA timezone: 'Sea/Atlantis'"}}) {
			t.Errorf("the broken one goes on at %s and missed %+v", i.Next, got)
		}
	})
}

// TestScheduleAfterDowntime kills the server for hours: one late fire, and a record of the rest.
func TestScheduleAfterDowntime(t *testing.T) {
	t.Parallel()
	inBubble(t, tenant.Production, func(t *testing.T, r *rig) {
		r.register(scheduled(nil))
		s, daily := r.schedule("*/10 * * * *"), r.schedule("0 12 * * *")
		time.Sleep(35 * time.Minute)
		synctest.Wait()
		r.stop()
		time.Sleep(170 * time.Minute) // now 03:25
		r.start(t, engine.Options{})
		time.Sleep(6 * time.Minute)
		synctest.Wait()
		fires := r.fired(s.ID)
		if got := at(fires); got != "00:10 00:20 00:30 00:40 03:30" {
			t.Fatalf("it fired at %s", got)
		}
		if last := fires[4].LastTimestamp; last == nil || !last.Equal(fires[3].Timestamp) || fires[3].Upcoming[0].Format("15:04") != "00:50" {
			t.Errorf("the last two were told %+v", fires[3:])
		}
		day := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
		gap := schedule.Gap{From: day.Add(50 * time.Minute), To: day.Add(200 * time.Minute), Count: 16}
		if _, got := r.read(s.ID); !slices.Equal(got, []store.Miss{{Gap: gap, Reason: "No server was running"}}) {
			t.Errorf("it missed %+v", got)
		}
		if i, got := r.read(daily.ID); got != nil || !i.Next.Equal(day.Add(12*time.Hour)) {
			t.Errorf("the daily one stands at %s and missed %+v", i.Next, got)
		}
	})
}

// TestMissesAroundAFire: what was missed in two outages is two records when a fire lies between them.
func TestMissesAroundAFire(t *testing.T) {
	t.Parallel()
	inBubble(t, tenant.Production, func(t *testing.T, r *rig) {
		r.register(scheduled(nil))
		s := r.schedule("*/10 * * * *")
		for _, away := range []time.Duration{35 * time.Minute, 2 * time.Hour} { // from 00:00, and from 00:36
			r.stop()
			time.Sleep(away)
			r.start(t, engine.Options{})
			time.Sleep(time.Minute)
			synctest.Wait()
		}
		if got := at(r.fired(s.ID)); got != "00:10 00:40" {
			t.Errorf("it fired at %s", got)
		}
		_, misses := r.read(s.ID)
		if len(misses) != 2 || misses[0].From.Format("15:04") != "00:50" || misses[0].Count != 11 || misses[1].To.Format("15:04") != "00:30" || misses[1].Count != 2 {
			t.Errorf("it missed %+v", misses)
		}
	})
}

// TestTwoNodesFireOnce has two engines on one Postgres compete for what is due.
func TestTwoNodesFireOnce(t *testing.T) {
	t.Parallel()
	url := pgtest.URL(t)
	r := newRig(t, url, tenant.Production)
	r.register(scheduled(nil))
	other := must(store.Open(t.Context(), url, nil))(t)
	t.Cleanup(func() { other.Close() })
	second := &rig{t: t, st: other, env: r.env, ctx: r.ctx}
	second.start(t, engine.Options{})

	const schedules, rounds = 150, 12
	var ids []string
	for range schedules {
		ids = append(ids, r.schedule("* * * * *").ID)
	}
	overdue := time.Now().UTC().Truncate(time.Minute)
	for range rounds { // each time as if the minute had come around again
		overdue = overdue.Add(-time.Hour)
		r.ok(r.st.Update(r.ctx, func(tx *store.Tx) error {
			_, err := tx.Exec(`UPDATE schedule_instance SET next_at = $1`, overdue.UnixMicro())
			return err
		}))
		r.Wake()
		second.Wake()
		for done := false; !done; time.Sleep(5 * time.Millisecond) {
			r.ok(r.st.View(r.ctx, func(tx *store.Tx) error {
				var waiting int
				err := tx.QueryRow(`SELECT count(*) FROM schedule_instance WHERE next_at = $1`, overdue.UnixMicro()).Scan(&waiting)
				done = waiting == 0
				return err
			}))
		}
	}
	for _, scheduleID := range ids {
		count := map[time.Time]int{}
		for _, f := range r.fired(scheduleID) {
			count[f.Timestamp]++
		}
		for nominal, n := range count {
			if n != 1 {
				t.Errorf("%s fired %d times at %s", scheduleID, n, nominal)
			}
		}
		for i := range rounds {
			if nominal := overdue.Add(time.Duration(i) * time.Hour); count[nominal] != 1 {
				t.Errorf("%s fired %d times at %s", scheduleID, count[nominal], nominal)
			}
		}
	}
}

func TestDeclaredSchedules(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, r *rig) {
		list := func(env *tenant.Environment) map[string]store.Instance {
			out := map[string]store.Instance{}
			r.ok(r.st.View(r.ctx, func(tx *store.Tx) error {
				list, _, err := tx.ListSchedules(env.ID, 0, 100)
				for _, i := range list {
					out[i.Task] = i
				}
				return err
			}))
			return out
		}
		staging := r.sibling(tenant.Staging)
		yearly, monthly := deploy.Schedule{Cron: "0 0 1 1 *"}, deploy.Schedule{Cron: "0 0 1 * *", Timezone: "Asia/Tokyo", Window: json.RawMessage(`"30m"`)}
		only := deploy.Schedule{Cron: "0 0 1 1 *", Environments: []string{"PRODUCTION"}}
		m := scheduled(map[string]deploy.Schedule{"y": yearly, "m": monthly, "only": only})
		r.register(m)
		before := list(r.env)
		if len(before) != 3 || before["y"].Timing.Timezone != "UTC" || before["m"].Timing.Window != "30m" || before["m"].Type != store.Declarative ||
			!before["y"].Active || before["y"].Next.IsZero() || before["y"].UserKey {
			t.Fatalf("declared are %+v", before)
		}

		must(r.RegisterWorker(r.ctx, staging, m))(t)
		if got := list(staging); len(got) != 2 || got["y"].ID != before["y"].ID {
			t.Errorf("staging has %+v", got)
		}

		pending := time.Now().UTC().Add(time.Hour).Truncate(time.Microsecond)
		r.ok(r.st.Update(r.ctx, func(tx *store.Tx) error {
			_, err := tx.Exec(`UPDATE schedule_instance SET next_at = $1 WHERE env_id = $2`, pending.UnixMicro(), r.env.ID)
			return err
		}))
		changed := deploy.Schedule{Cron: "0 0 2 * *", Timezone: "Asia/Tokyo"}
		r.register(scheduled(map[string]deploy.Schedule{"y": yearly, "m": changed}))
		after := list(r.env)
		if len(after) != 2 || !after["y"].Next.Equal(pending) || after["m"].ID != before["m"].ID || after["m"].Next.Equal(pending) ||
			after["m"].Timing != timing("0 0 2 * *", "Asia/Tokyo") {
			t.Errorf("declared anew are %+v", after)
		}
		if got := list(staging); got["m"].Timing.Cron != "0 0 1 * *" {
			t.Errorf("staging has changed: %+v", got)
		}
		for _, err := range []error{
			r.DeleteSchedule(r.ctx, r.env, after["y"].ID),
			second(r.SetScheduleActive(r.ctx, r.env, after["y"].ID, false)),
			second(r.UpdateSchedule(r.ctx, r.env, after["y"].ID, engine.Schedule{Task: "hello", Timing: timing("* * * * *", "UTC")})),
		} {
			if !fault.Is(err, fault.Invalid) || !strings.HasSuffix(err.Error(), "a declarative schedule") {
				t.Errorf("changed by hand: %v", err)
			}
		}
		r.register(scheduled(nil))
		if got := list(r.env); len(got) != 0 {
			t.Errorf("left are %+v", got)
		}
		must(r.RegisterWorker(r.ctx, staging, scheduled(nil)))(t)
		r.ok(r.st.View(r.ctx, func(tx *store.Tx) error {
			var n int
			err := tx.QueryRow(`SELECT count(*) FROM schedule`).Scan(&n)
			if n != 0 {
				t.Errorf("%d schedules have no environment", n)
			}
			return err
		}))
	})
}

func second[T any](_ T, err error) error { return err }

// sibling is another environment of the same project.
func (r *rig) sibling(kind tenant.EnvType) *tenant.Environment {
	r.t.Helper()
	env := *r.env
	env.ID, env.Type, env.Slug = id.New(time.Now()), kind, kind.Slug()
	r.ok(r.st.Update(r.ctx, func(tx *store.Tx) error {
		_, err := tx.AddEnvironment(&env)
		return err
	}))
	return &env
}

func TestDeclaredScheduleRefusals(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, r *rig) {
		_, err := r.RegisterWorker(r.ctx, r.env, scheduled(map[string]deploy.Schedule{
			"bad": {Cron: "61 * * * *", Timezone: "Sea/Atlantis", Window: json.RawMessage(`7`), Environments: []string{"MOON"}}}))
		for _, part := range []string{"task bad: Invalid cron expression: ", "task bad: Invalid IANA timezone: 'Sea/Atlantis'",
			"task bad: Invalid window: ", "task bad: Invalid environment 'MOON'"} {
			if !fault.Is(err, fault.Malformed) || !strings.Contains(err.Error(), part) {
				t.Errorf("%v does not say %q", err, part)
			}
		}
		if _, err := r.CreateSchedule(r.ctx, r.env, engine.Schedule{Task: "hello", Timing: timing("* * * * *", "UTC")}); !fault.Is(err, fault.Invalid) {
			t.Errorf("a task of a refused build, which was none of schedules before: %v", err)
		}
	})
}

// TestScheduleYear fires a thousand schedules in twenty zones for a year, and compares
// with the occurrences enumerated in one go.
func TestScheduleYear(t *testing.T) {
	t.Parallel()
	zones := []string{"UTC", "Europe/Berlin", "Europe/London", "Europe/Moscow", "America/New_York", "America/Los_Angeles",
		"America/Sao_Paulo", "America/St_Johns", "America/Havana", "Asia/Tokyo", "Asia/Kolkata", "Asia/Kathmandu", "Asia/Tehran",
		"Asia/Beirut", "Australia/Sydney", "Australia/Lord_Howe", "Pacific/Auckland", "Pacific/Chatham", "Pacific/Apia", "Africa/Cairo"}
	crons := []string{"0 0 1 * *", "30 2 * * 0", "0 12 L * *", "0 0 29 2 *", "15 1 * * 7", "30 2 1-7 3,10,11 *", "0 9 * * 1#1",
		"0 0 1 1 *", "45 23 15 */2 *", "0 6 * * 5L"}
	synctest.Test(t, func(t *testing.T) {
		st := must(store.Open(t.Context(), sqliteURL(t), nil))(t)
		t.Cleanup(func() { st.Close() })
		r := &rig{t: t, st: st, ctx: t.Context(), env: newEnvironment(t, st, tenant.Production)}
		r.start(t, engine.Options{Patience: 400 * 24 * time.Hour})
		r.register(scheduled(nil))
		end := time.Date(2001, 1, 1, 0, 0, 0, 0, time.UTC)
		want, total := map[string][]string{}, 0
		for n := range 1000 {
			zone, cron := zones[n%len(zones)], crons[n/len(zones)%len(crons)]
			s := must(r.CreateSchedule(r.ctx, r.env, engine.Schedule{Task: "hello", Timing: timing(cron, zone), ExternalID: fmt.Sprint(n)}))(t)
			rule := must(s.Timing.Rule())(t)
			for at := rule.Next(time.Now()); at.Before(end); at = rule.Next(at) {
				want[s.ID] = append(want[s.ID], at.Format(time.RFC3339))
				total++
			}
		}
		time.Sleep(time.Until(end) - time.Minute)
		synctest.Wait()
		got := map[string][]string{}
		r.ok(st.View(r.ctx, func(tx *store.Tx) error {
			rows, err := tx.Query(`SELECT schedule_id, score FROM run ORDER BY score`)
			if err != nil {
				return err
			}
			defer rows.Close()
			for rows.Next() {
				var scheduleID string
				var ms int64
				if err := rows.Scan(&scheduleID, &ms); err != nil {
					return err
				}
				got[scheduleID] = append(got[scheduleID], time.UnixMilli(ms).UTC().Format(time.RFC3339))
			}
			return rows.Err()
		}))
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%d fires were expected:\n%.2000s", total, d)
		}
		t.Logf("%d fires", total)
	})
}
