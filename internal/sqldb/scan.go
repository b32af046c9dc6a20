package sqldb

import (
	"database/sql"
	"database/sql/driver"
	"fmt"
	"reflect"
)

// appendArgs appends args to dst in the few types that the SQLite driver takes,
// in the order in which the statement names them; nil: as they come.
func appendArgs(dst []driver.NamedValue, args []any, order []int) ([]driver.NamedValue, error) {
	if order == nil {
		for i, arg := range args {
			v, err := argument(i+1, arg)
			if err != nil {
				return nil, err
			}
			dst = append(dst, driver.NamedValue{Ordinal: i + 1, Value: v})
		}
		return dst, nil
	}
	for i, n := range order {
		if n < 1 || n > len(args) {
			return nil, fmt.Errorf("argument $%d is missing", n)
		}
		v, err := argument(n, args[n-1])
		if err != nil {
			return nil, err
		}
		dst = append(dst, driver.NamedValue{Ordinal: i + 1, Value: v})
	}
	return dst, nil
}

func argument(n int, arg any) (driver.Value, error) {
	switch v := arg.(type) {
	case nil, string, int64, bool, float64, []byte:
		return v, nil
	case int:
		return int64(v), nil
	}
	v, err := driver.DefaultParameterConverter.ConvertValue(arg)
	if err != nil {
		return nil, fmt.Errorf("argument $%d: %w", n, err)
	}
	return v, nil
}

// scanRow copies one row of SQLite's into dest. It does for int64, float64,
// string, []byte and nil what database/sql does, which it replaces because a
// row costs less this way (BenchmarkView).
func scanRow(dest []any, vals []driver.Value) error {
	if len(dest) != len(vals) {
		return fmt.Errorf("scan: %d destinations for %d columns", len(dest), len(vals))
	}
	for i, v := range vals {
		if err := scanValue(dest[i], v); err != nil {
			return fmt.Errorf("scan column %d: %w", i+1, err)
		}
	}
	return nil
}

func scanValue(dest any, v driver.Value) error {
	switch v := v.(type) {
	case string:
		switch d := dest.(type) {
		case *string:
			*d = v
			return nil
		case **string:
			*d = &v
			return nil
		case *[]byte:
			*d = []byte(v)
			return nil
		}
	case int64:
		switch d := dest.(type) {
		case *int64:
			*d = v
			return nil
		case **int64:
			*d = &v
			return nil
		case *bool:
			*d = v != 0
			return nil
		}
	}
	if s, ok := dest.(sql.Scanner); ok {
		return s.Scan(v)
	}
	p := reflect.ValueOf(dest)
	if p.Kind() != reflect.Pointer || p.IsNil() {
		return fmt.Errorf("destination is a %T, not a pointer", dest)
	}
	return scanInto(p.Elem(), v)
}

// scanInto handles the types scanValue does not name: other sizes, named types,
// pointers to them, and NULL.
func scanInto(d reflect.Value, v driver.Value) error {
	kind := d.Kind()
	switch v := v.(type) {
	case nil:
		if kind == reflect.Pointer || kind == reflect.Interface || kind == reflect.Slice {
			d.SetZero()
			return nil
		}
		return fmt.Errorf("NULL does not fit a %s", d.Type())
	case int64:
		switch {
		case d.CanInt() && !d.OverflowInt(v):
			d.SetInt(v)
			return nil
		case d.CanUint() && v >= 0 && !d.OverflowUint(uint64(v)):
			d.SetUint(uint64(v))
			return nil
		case d.CanFloat():
			d.SetFloat(float64(v))
			return nil
		case kind == reflect.Bool:
			d.SetBool(v != 0)
			return nil
		}
	case float64:
		if d.CanFloat() {
			d.SetFloat(v)
			return nil
		}
	case string:
		if kind == reflect.String {
			d.SetString(v)
			return nil
		}
	case []byte:
		if kind == reflect.String {
			d.SetString(string(v))
			return nil
		}
		if kind == reflect.Slice && d.Type().Elem().Kind() == reflect.Uint8 {
			d.SetBytes(v)
			return nil
		}
	}
	return scanIndirect(d, v)
}

// scanIndirect fills in a pointer or an interface.
func scanIndirect(d reflect.Value, v driver.Value) error {
	switch {
	case d.Kind() == reflect.Pointer:
		p := reflect.New(d.Type().Elem())
		if err := scanValue(p.Interface(), v); err != nil {
			return err
		}
		d.Set(p)
		return nil
	case d.Kind() == reflect.Interface && reflect.TypeOf(v).AssignableTo(d.Type()):
		d.Set(reflect.ValueOf(v))
		return nil
	}
	return fmt.Errorf("a %T does not fit a %s", v, d.Type())
}
