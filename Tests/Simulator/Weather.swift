import ChaosLog

/// What goes wrong in a simulation, and how often; in thousandths unless said otherwise.
struct Weather {
  /// Messages that break their connection.
  var breaks = 0
  /// Messages that are late by up to a second.
  var stalls = 0
  /// Messages that arrive in pieces.
  var splits = 0
  /// Answers that arrive twice.
  var repeats = 0
  /// The largest error of a clock's pace, in millionths; the library allows for a hundredth between two clocks.
  var drift = 0
  /// Whether processes are stopped and killed.
  var kills = false
  /// Whether the server loses its data, a part of it, or its counter: two locks can overlap then.
  var forgets = false
  /// Whether the server's clock is set forward at times, so that keys expire too early.
  ///
  /// Neither direction is combined with loss of data, since a lost counter restarts from the server's time.
  var jumpsForward = false
  /// Whether the server's clock is set back at times, so that keys last too long.
  var jumpsBack = false
  /// Whether the clocks of processes jump forward at times; see ``SimulatedTime``.
  var leaps = false
  /// Whether processes close their lockers at times, while tasks hold locks and wait, and continue with new ones.
  var closes = false
  /// Keys that are freed by force just when they are taken.
  var forces = 0
  /// Acquisitions of two keys.
  var pairs = 0
  /// Acquisitions with a `maxHold`.
  var limits = 0
  /// Calls that wait for a few milliseconds only.
  var hasty = 0
  /// Steps of tasks that are late by up to 5 ms, as on a busy machine.
  var lateSteps = 0
  /// The shortest ttl, in ms.
  var shortestTTL = 60
  /// How late a message can arrive after its connection has been reset, in µs.
  var longestDelivery = 1000
  /// Whether locks have to be acknowledged by a replica, which is behind at times.
  var acknowledges = false
  /// Whether that replica takes over at times.
  var failsOver = false
  /// The number of processes at first, and for how many ms they ask for locks.
  var processes = 2
  var opening = 1500
  /// The longest rest of a task before it asks for its next lock, in ms.
  var pause = 300

  /// Draws some weather, fair or foul.
  init(using generator: inout SplitMix) {
    func pick(_ count: UInt64) -> Int { Int(generator.next() % count) }
    let kind = pick(8)
    pairs = [0, 150, 500][pick(3)]
    shortestTTL = [30, 60, 5000][pick(3)]
    drift = [0, 4000][pick(2)]
    splits = [0, 100][pick(2)]
    processes = 2 + pick(3)
    // Fair, but slow at times.
    stalls = [0, 5, 30][pick(3)]
    leaps = pick(4) == 0
    jumpsBack = kind != 2 && pick(4) == 0
    closes = pick(4) == 0
    guard kind > 1 else { return }
    if kind == 3 { forces = 300 }
    breaks = [2, 10, 40][pick(3)]
    repeats = [0, 5][pick(2)]
    kills = pick(2) == 0
    forgets = kind == 2
    jumpsForward = kind == 4
  }

  /// Whether every message arrives in the end and no process dies, so that nothing may be left on the server.
  var isFair: Bool { breaks == 0 && repeats == 0 && !kills && isTrusty && !failsOver }

  /// Whether each call soon learns the outcome of its requests.
  var isPlain: Bool { isFair && stalls == 0 && !leaps }

  /// Whether the server keeps its promises.
  var isTrusty: Bool { !forgets && !jumpsForward && forces == 0 }

  /// Draws weather for a short scenario of many calls, most of it calm.
  ///
  /// A key that is left on the server is noticed, since half of the locks would last to the end.
  static func brief(_ seed: UInt64) -> Self {
    var generator = SplitMix(seed: seed)
    var weather = Self(using: &generator)
    weather.opening = 40
    weather.pause = 20
    weather.processes = 2
    weather.shortestTTL = seed % 2 == 0 ? 30_000 : 30
    weather.acknowledges = seed % 8 == 2 || seed % 8 == 5
    guard seed % 4 != 3 else { return weather }
    weather.breaks = 0
    weather.repeats = 0
    weather.forces = 0
    weather.stalls = 0
    (weather.kills, weather.forgets) = (false, false)
    (weather.jumpsForward, weather.leaps) = (false, false)
    return weather
  }

  /// Adds a replica in every fourth weather; half of them take over at times, where the server keeps its promises.
  mutating func addReplica(_ seed: UInt64) {
    acknowledges = seed % 4 == 1
    failsOver = seed % 8 == 5 && isTrusty && !jumpsBack
  }

  /// Limits how long locks are held in every eighth weather.
  mutating func addLimits(_ seed: UInt64) {
    if seed % 8 == 3 { limits = 400 }
  }

  /// Lets many calls give up in every eighth weather, as soon as others leave the same lines.
  mutating func addHaste(_ seed: UInt64) {
    if seed % 8 == 7 { (hasty, lateSteps, pause) = (500, 300, 3) }
  }

  /// The same weather with a little less trouble, once for each way to reduce it.
  var calmer: [Weather] {
    let ways: [(inout Weather) -> Void] = [
      { $0.kills = false }, { $0.forgets = false }, { $0.jumpsForward = false },
      { $0.jumpsBack = false }, { $0.leaps = false }, { $0.closes = false },
      { $0.failsOver = false },
      { ($0.acknowledges, $0.failsOver) = (false, false) }, { $0.repeats = 0 },
      { $0.splits = 0 },
      { $0.stalls = 0 }, { $0.drift = 0 }, { $0.pairs = 0 }, { $0.limits = 0 }, { $0.hasty = 0 },
      { $0.lateSteps = 0 }, { $0.forces = 0 },
      { $0.breaks = 0 },
      { $0.processes = max($0.processes - 1, 1) }, { $0.opening = $0.opening * 3 / 4 },
    ]
    return ways.map { way in
      var weather = self
      way(&weather)
      return weather
    }.filter { "\($0)" != "\(self)" }
  }
}
