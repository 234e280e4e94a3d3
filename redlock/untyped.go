package redlock

import (
	"encoding/json"
	"fmt"
	"reflect"
)

// stringOf is v where v is text; a number of package json is none.
func stringOf(v any) (string, bool) {
	if _, number := v.(json.Number); number {
		return "", false
	}
	text := reflect.ValueOf(v)
	return text.String(), text.Kind() == reflect.String
}

// listOf is v as a list, of whatever type its elements are.
func listOf(v any) ([]any, bool) {
	list := reflect.ValueOf(v)
	if kind := list.Kind(); kind != reflect.Slice && kind != reflect.Array {
		return nil, false
	}
	elements := make([]any, list.Len())
	for i := range elements {
		elements[i] = list.Index(i).Interface()
	}
	return elements, true
}

// mappingOf is v as a mapping. Some decoders of YAML give map[any]any; a key
// that is no string becomes one, and is then not known.
func mappingOf(v any) (map[string]any, bool) {
	mapping := reflect.ValueOf(v)
	if mapping.Kind() != reflect.Map {
		return nil, false
	}
	keyed := make(map[string]any, mapping.Len())
	for key, value := range mapping.Seq2() {
		keyed[fmt.Sprint(key)] = value.Interface()
	}
	return keyed, true
}

func kindOf(v any) string {
	if _, number := v.(json.Number); number {
		return "a number"
	}
	switch kind := reflect.ValueOf(v).Kind(); {
	case kind == reflect.Invalid:
		return "null"
	case kind == reflect.String:
		return "a string"
	case kind == reflect.Bool:
		return "true or false"
	case kind >= reflect.Int && kind <= reflect.Float64:
		return "a number"
	case kind == reflect.Slice || kind == reflect.Array:
		return fmt.Sprintf("a list of %d", reflect.ValueOf(v).Len())
	case kind == reflect.Map:
		return "a mapping"
	}
	return fmt.Sprintf("a %T", v)
}
