package store_test

import (
	"testing"

	"sear/internal/store"
)

func TestSettings(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, st *store.Store) {
		read := func() (value string) {
			t.Helper()
			if err := st.View(t.Context(), func(tx *store.Tx) (err error) { value, err = tx.Setting("name"); return err }); err != nil {
				t.Fatal(err)
			}
			return value
		}
		if got := read(); got != "" {
			t.Errorf("a setting that was never written is %q", got)
		}
		for _, want := range []string{"one", "two"} {
			if err := st.Update(t.Context(), func(tx *store.Tx) error { return tx.SetSetting("name", want) }); err != nil {
				t.Fatal(err)
			}
			if got := read(); got != want {
				t.Errorf("the setting is %q, want %q", got, want)
			}
		}
	})
}
