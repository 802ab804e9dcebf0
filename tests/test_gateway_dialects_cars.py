"""TeslaMate and evcc: every topic that they have, and those that they may come to have."""

from __future__ import annotations

import pytest

from gateway.dialects import DialectSettings, Notebook, Reading, read
from vault.observation import Observation

NOW = 1_790_000_000_000

# teslamate-org/teslamate@8a692e29 website/docs/integrations/mqtt.md: "Topic" and "Example".
TESLAMATE = """
display_name=Blue Thunder|state=asleep|since=2019-02-29T23:00:07Z|healthy=true|version=2019.32.12.2
update_available=false|update_version=2019.32.12.3|download_perc=100|install_perc=42|model=3|trim_badging=P100D
exterior_color=DeepBlue|wheel_type=Pinwheel18|spoiler_type=None|geofence=🏡 Home|latitude=35.278131
longitude=29.744801|shift_state=D|power=-9|speed=12|heading=340|elevation=70|locked=true|sentry_mode=false
windows_open=false|driver_front_window_open=false|driver_rear_window_open=false
passenger_front_window_open=false|passenger_rear_window_open=false|doors_open=false
driver_front_door_open=false|driver_rear_door_open=false|passenger_front_door_open=false
passenger_rear_door_open=false|sun_roof_state=open|sun_roof_installed=true|sun_roof_percent_open=80
trunk_open=false|frunk_open=false|is_user_present=false|is_climate_on=true|inside_temp=20.8|outside_temp=18.4
is_preconditioning=false|odometer=1653|est_battery_range_km=372.5|rated_battery_range_km=401.63
ideal_battery_range_km=335.79|battery_level=88|usable_battery_level=85|plugged_in=true|charging_state=Charging
charge_energy_added=5.06|charge_limit_soc=90|charge_port_door_open=true|charger_actual_current=2.05
charger_phases=3|charger_power=48.9|charger_voltage=240|charge_current_request=40|charge_current_request_max=40
scheduled_charging_start_time=2019-02-29T23:00:07Z|time_to_full_charge=1.83|tpms_pressure_fl=2.9
tpms_pressure_fr=2.8|tpms_pressure_rl=2.9|tpms_pressure_rr=2.8|tpms_soft_warning_fl=true
tpms_soft_warning_fr=false|tpms_soft_warning_rl=false|tpms_soft_warning_rr=false|active_route_destination=Home
active_route_latitude=35.278131|active_route_longitude=29.744801|center_display_state=0|service_mode=false
"""
FIELDS = [tuple(one.split("=")) for line in TESLAMATE.strip().splitlines() for one in line.split("|")]

# evcc-io/evcc@b29b49e3 core/keys/loadpoint.go, site.go.
LOADPOINT = """
name title mode defaultMode charger meter circuit vehicle priority minCurrent maxCurrent minSoc
minSocNotReached limitSoc limitEnergy soc thresholds ui enableThreshold disableThreshold enableDelay
disableDelay batteryBoost batteryBoostLimit phasesConfigured phasesActive chargerIcon
chargerFeatureHeating chargerSinglePhase chargerPhases1p3p chargerStatusReason enabled connected charging
dimmed offeredCurrent suggestion smartCostActive smartCostLimit smartCostNextStart
smartFeedInPriorityActive smartFeedInPriorityLimit smartFeedInPriorityNextStart effectivePriority
effectivePlanId effectivePlanTime effectivePlanSoc effectiveMinCurrent effectiveMaxCurrent effectiveMinSoc
effectiveLimitSoc effectivePlanStrategy chargePower chargeCurrents chargeVoltages chargedEnergy
chargeDuration chargeTotalImport todayEnergy last24hEnergy last7dEnergy connectedDuration
chargeRemainingDuration chargeRemainingEnergy plan planTime planEnergy planSoc planActive
planProjectedStart planProjectedEnd planOverrun planStrategy repeatingPlans remoteDisabled
remoteDisabledSource vehicleName vehicleTitle vehicleIdentity vehicleDetectionActive vehicleOdometer
vehicleRange vehicleSoc vehicleLimitSoc vehicleClimaterActive vehicleWelcomeActive
""".split()
SITE = """
aux auxPower circuits consumers currency ext greenShareHome greenShareLoadpoints gridConfigured grid
historyUpdated homePower prioritySoc pv pvEnergy pvPower residualPower siteTitle smartCostType statistics
forecast tariffCo2 tariffCo2Home tariffCo2Loadpoints tariffFeedIn tariffGrid tariffPriceHome
tariffPriceLoadpoints tariffSolar tariffTemperature vehicles gridMeter pvMeters batteryMeters extMeters
auxMeters consumerMeters batteryDischargeControl batteryGridChargeLimit batteryGridChargeActive
batteryGridDischarge bufferSoc bufferStartSoc gridExportLimit solarAdjusted optimizerChargingStrategy
optimizerChargingStrategies battery batteryMode batteryModeExternal smartCostAvailable
smartFeedInPriorityAvailable
""".split()
STRUCTURES = """
site/forecast/solar/today/energy site/statistics/30d/chargedKWh site/sponsor/name site/mqtt/broker
site/battery/forecast/highest/soc site/battery/1/suggestion/action site/pv/7 site/vehicles/3
site/config/x/y loadpoints/1/plan/1/start loadpoints/1/suggestion/charge vehicles/db:1/title
vehicles/db:1/repeatingPlans/1/soc loadpoints vehicles updated
""".split()


def say(topic: str, payload: str, notebook: Notebook | None = None) -> Reading:
    return read(topic, payload.encode(), NOW, notebook or Notebook())


@pytest.mark.parametrize(("field", "example"), FIELDS)
def test_every_field_of_teslamate_is_understood(field: str, example: str) -> None:
    reading = say(f"teslamate/cars/1/{field}", example)
    assert (reading.dialect, reading.quarantine, reading.dropped) == ("teslamate", False, 0)


@pytest.mark.parametrize("field", [field for field, _ in FIELDS])
def test_a_field_without_a_value_is_no_reading(field: str) -> None:
    """Many are published empty where the car has said nothing."""
    reading = say(f"teslamate/cars/1/{field}", "")
    assert (reading.observations, reading.quarantine) == ((), False)


def test_half_a_position_is_none() -> None:
    assert say("teslamate/cars/1/location", '{"latitude":35.2}').observations == ()
    assert say("teslamate/cars/1/latitude", "35.2").observations == ()


@pytest.mark.parametrize("key", LOADPOINT)
def test_every_key_of_a_charging_point_is_understood(key: str) -> None:
    assert not say(f"evcc/loadpoints/1/{key}", "").quarantine


@pytest.mark.parametrize("key", SITE)
def test_every_key_of_a_site_is_understood(key: str) -> None:
    assert not say(f"evcc/site/{key}", "").quarantine


@pytest.mark.parametrize("topic", STRUCTURES)
def test_plans_prices_and_settings_are_passed_over(topic: str) -> None:
    reading = say(f"evcc/{topic}", "1")
    assert (reading.observations, reading.quarantine) == ((), False)


@pytest.mark.parametrize(
    "topic", ["evcc/site/mood", "evcc/loadpoints/1/mood", "evcc/site/grid/mood", "evcc/mood"]
)
def test_what_evcc_may_come_to_say_is_kept(topic: str) -> None:
    assert say(topic, "1").quarantine


def test_a_root_of_one_s_own_is_read_where_the_dialect_is_set() -> None:
    topic, found = "home/evcc/site/homePower", Observation("site/home", "power", NOW, 412.0)
    assert say(topic, "412", Notebook(DialectSettings(dialect="evcc"))).observations == (found,)
    assert say(topic, "412").observations == ()


@pytest.mark.parametrize("payload", ["NaN", "+Inf", "-Inf"])
def test_a_broken_meter_is_no_reading(payload: str) -> None:
    """server/mqtt_test.go: what has no number is published as such a word."""
    reading = say("evcc/site/homePower", payload)
    assert reading.observations == ()
    assert reading.quarantine


def test_the_sign_of_power_is_kept() -> None:
    """Out of the car's battery, out of the house's, and from the grid are positive."""
    for topic in ("teslamate/cars/1/power", "evcc/site/battery/power", "evcc/site/grid/power"):
        (down,), (up,) = say(topic, "-2").observations, say(topic, "2").observations
        assert isinstance(up.value, float)
        assert down.value == -up.value < 0
