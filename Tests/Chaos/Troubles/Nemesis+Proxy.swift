import AsyncRedisLock
import ChaosLog
import FaultProxy
import Foundation
import Synchronization

extension Nemesis {
  /// Ends all connections through the proxy, in a random way.
  func strikeProxy() {
    let ways: [Fault] = [
      .blackhole(after: 0), .cut(after: 0), .reset(after: 0), .finishThenReset(after: 0),
      .halfClose(after: 0),
    ]
    proxy?.strike(ways[draw(0...ways.count - 1)])
  }

  /// Makes the proxy refuse new connections for a while, after it has hung up on all clients.
  func refuseAtProxy() {
    let proxy = proxy
    proxy?.refuse(true)
    proxy?.strike(.cut(after: 0))
    repair(after: draw(50...1000), concernsServer: false) { proxy?.refuse(false) }
  }

  /// Makes the proxy delay every message for a while, in both directions or in one.
  func slowDownAtProxy() {
    let delay = Duration.milliseconds(draw(5...150))
    let direction: FaultProxy.Direction? =
      draw(0...1) == 0 ? nil : draw(0...1) == 0 ? .requests : .replies
    let proxy = proxy
    proxy?.setScript { message in
      direction == nil || message.direction == direction ? .delay(delay) : .forward
    }
    repair(after: draw(500...3000), concernsServer: false) { proxy?.setScript(nil) }
  }

  /// Makes the proxy garble one in so many messages, for a while.
  func garbleAtProxy() {
    let garbler = Garbler(
      seed: generator.next(), every: draw(3...60), longestDelay: profile.timing.ttl / 2)
    proxy?.setScript(garbler.script)
    repair(after: draw(100...1500), concernsServer: false) { [self] in proxy?.setScript(nil) }
  }
}

/// Decides at random the fate of each message.
private final class Garbler: Sendable {
  private let generator: Locked<SplitMix>
  private let every: Int
  private let longestDelay: Int

  init(seed: UInt64, every: Int, longestDelay: Int) {
    generator = Locked(SplitMix(seed: seed))
    self.every = every
    self.longestDelay = longestDelay
  }

  /// The script for the proxy.
  var script: FaultProxy.Script {
    { [self] message in
      generator.withLock { fault(message, &$0) }
    }
  }

  /// Whether the library can notice that it gets a message twice.
  ///
  /// The library would take a repeated error for the next answer. It would also take the numbers that answer a
  /// release or an extension for those of the next one. TCP delivers nothing twice, so this does not justify making
  /// each answer longer.
  private func mayComeTwice(_ message: FaultProxy.Message) -> Bool {
    let isNumbers =
      message.bytes.first == UInt8(ascii: "*") && !message.bytes.contains(UInt8(ascii: "$"))
    let isError = message.bytes.first == UInt8(ascii: "-")
    // A record of TLS that comes twice during the handshake is one that cannot be decrypted.
    let isRecord = MessageSplitter.isRecord(message.bytes)
    return message.direction == .replies && !isNumbers && !isError && !isRecord
  }

  private func fault(
    _ message: FaultProxy.Message, _ numbers: inout some RandomNumberGenerator
  ) -> Fault {
    guard Int.random(in: 0..<every, using: &numbers) == 0 else { return .forward }
    // A stream loses only its end, so a swallowed message takes everything behind it along.
    let count = Int.random(in: 0...message.bytes.count, using: &numbers)
    switch Int.random(in: 0..<8, using: &numbers) {
    case 0: return mayComeTwice(message) ? .duplicate : .cut(after: count)
    case 1, 2: return .delay(.milliseconds(Int.random(in: 1...longestDelay, using: &numbers)))
    case 3: return .drip(count: 1, every: .milliseconds(Int.random(in: 1...10, using: &numbers)))
    case 4: return .cut(after: count)
    case 5: return .reset(after: count)
    case 6: return .halfClose(after: count)
    default: return .blackhole(after: count)
    }
  }
}
