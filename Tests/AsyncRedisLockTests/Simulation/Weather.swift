/// What goes wrong in a simulation, and how often; in thousandths unless said otherwise.
struct Weather {
  /// Messages at which a connection breaks.
  var breaks = 0
  /// Messages that are late by up to a second.
  var stalls = 0
  /// Messages that arrive twice.
  var repeats = 0
  /// By how many millionths clocks are too fast or too slow; the allowance is for a hundredth between two.
  var drift = 0
  /// Whether processes are stopped and killed.
  var kills = false
  /// Whether the server loses its data, so that there can be two holders.
  var forgets = false
  /// Keys that somebody frees by force just when they are taken.
  var forces = 0
  /// Acquisitions of two keys.
  var pairs = 0
  /// In ms.
  var shortestTTL = 60

  /// Makes up some weather, fair or foul.
  init(using generator: inout SeededGenerator) {
    func pick(_ count: UInt64) -> Int { Int(generator.next() % count) }
    let kind = pick(8)
    pairs = [0, 150, 500][pick(3)]
    shortestTTL = [30, 60, 5000][pick(3)]
    drift = [0, 4000][pick(2)]
    // Fair, but slow at times.
    stalls = [0, 5, 30][pick(3)]
    guard kind > 1 else { return }
    if kind == 3 { forces = 300 }
    breaks = [2, 10, 40][pick(3)]
    repeats = [0, 20][pick(2)]
    kills = pick(2) == 0
    forgets = kind == 2
  }

  /// Whether all that is sent arrives in the end, and nobody dies: nothing may be left on the server then.
  var isFair: Bool { breaks == 0 && !kills && isTrusty }

  /// Whether the server keeps what it has promised.
  var isTrusty: Bool { !forgets && forces == 0 }
}
