package otelredlock_test

import (
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/otlptranslator"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

// dashboard is what is checked of dashboard.json.
type dashboard struct {
	Templating struct {
		List []struct {
			Name       string
			Definition string
		}
	}
	Panels []struct {
		ID          int
		Title       string
		Description string
		Targets     []struct {
			RefID        string
			Expr         string
			LegendFormat string
		}
	}
}

func TestTheDashboardShowsEveryMetricAndNoOther(t *testing.T) {
	t.Parallel()
	g := newGauge(t)
	everything(g.hooks)
	emitted := map[string]*family{}
	var names []string
	for _, m := range g.metrics() {
		f := prometheus(t, m)
		names = append(names, f.name)
		for _, series := range f.series {
			emitted[series] = f
		}
	}
	var shown []string
	for title, exprs := range expressions(t) {
		for _, expr := range exprs {
			var labels []string
			for _, series := range seriesNames.FindAllString(withoutLabels(expr), -1) {
				f := emitted[series]
				if f == nil {
					t.Errorf("%s: nothing emits %s", title, series)
					continue
				}
				shown = append(shown, f.name)
				labels = append(labels, f.labels...)
			}
			for _, label := range labelNames(expr) {
				if !slices.Contains(labels, label) {
					t.Errorf("%s: no metric of %s has the label %s", title, expr, label)
				}
			}
		}
	}
	for _, name := range names {
		if !slices.Contains(shown, name) {
			t.Errorf("%s is not shown", name)
		}
	}
}

func TestThePanelsOfTheDashboardCanBeToldApartAndAreExplained(t *testing.T) {
	t.Parallel()
	var ids []int
	for _, panel := range parsed(t).Panels {
		if slices.Contains(ids, panel.ID) || panel.Title == "" || panel.Description == "" || len(panel.Targets) == 0 {
			t.Errorf("panel %d %q", panel.ID, panel.Title)
		}
		ids = append(ids, panel.ID)
	}
}

func parsed(t *testing.T) (d dashboard) {
	t.Helper()
	file, err := os.ReadFile("dashboard.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(file, &d); err != nil {
		t.Fatal(err)
	}
	return d
}

// expressions are those of the panels and of the variables, by their titles,
// with the labels that a legend names as if it were an aggregation by them.
func expressions(t *testing.T) map[string][]string {
	t.Helper()
	all := map[string][]string{}
	d := parsed(t)
	for _, v := range d.Templating.List {
		all["$"+v.Name] = []string{v.Definition}
	}
	for _, panel := range d.Panels {
		for _, target := range panel.Targets {
			expr := target.Expr
			for _, label := range inLegend.FindAllStringSubmatch(target.LegendFormat, -1) {
				expr += " by (" + label[1] + ")"
			}
			all[panel.Title] = append(all[panel.Title], expr)
		}
	}
	if len(all) < 10 {
		t.Fatalf("the dashboard has only %d expressions", len(all))
	}
	return all
}

var (
	seriesNames = regexp.MustCompile(`\bredlock_\w+`)
	selectors   = regexp.MustCompile(`\{[^}]*\}`)
	matchers    = regexp.MustCompile(`(\w+)(?:=~|!~|!=|=)"`)
	groupings   = regexp.MustCompile(`\bby \(([^)]*)\)`)
	inLegend    = regexp.MustCompile(`\{\{(\w+)\}\}`)
)

func withoutLabels(expr string) string {
	return groupings.ReplaceAllString(selectors.ReplaceAllString(expr, ""), "")
}

func labelNames(expr string) (labels []string) {
	for _, match := range matchers.FindAllStringSubmatch(expr, -1) {
		labels = append(labels, match[1])
	}
	for _, match := range groupings.FindAllStringSubmatch(expr, -1) {
		labels = append(labels, strings.Split(match[1], ", ")...)
	}
	return labels
}

// family is a metric as Prometheus has it.
type family struct {
	name           string
	series, labels []string
}

// prometheus translates a metric as Prometheus and the exporters for it do.
func prometheus(t *testing.T, m metricdata.Metrics) *family {
	t.Helper()
	is := otlptranslator.Metric{Name: m.Name, Unit: m.Unit}
	f := &family{labels: []string{"job", "instance"}}
	suffixes := []string{""}
	switch data := m.Data.(type) {
	case metricdata.Histogram[float64]:
		is.Type = otlptranslator.MetricTypeHistogram
		suffixes = []string{"_bucket", "_sum", "_count"}
		f.labels = append(f.labels, "le")
	case metricdata.Sum[int64]:
		is.Type = otlptranslator.MetricTypeNonMonotonicCounter
		if data.IsMonotonic {
			is.Type = otlptranslator.MetricTypeMonotonicCounter
		}
	default:
		t.Fatalf("%s is a %T", m.Name, m.Data)
	}
	namer := otlptranslator.MetricNamer{WithMetricSuffixes: true}
	name, err := namer.Build(is)
	if err != nil {
		t.Fatal(err)
	}
	f.name = name
	for _, suffix := range suffixes {
		f.series = append(f.series, name+suffix)
	}
	for _, set := range attributeSets(m) {
		for _, a := range set.ToSlice() {
			labels := otlptranslator.LabelNamer{}
			label, err := labels.Build(string(a.Key))
			if err != nil {
				t.Fatal(err)
			}
			f.labels = append(f.labels, label)
		}
	}
	return f
}
