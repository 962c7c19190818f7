"""The Grafana dashboard. `panels` says what is shown, `dashboard` how Grafana wants it written."""
