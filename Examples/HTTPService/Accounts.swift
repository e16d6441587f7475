import Synchronization

/// The customers' accounts, which must not handle two orders of the same customer at once.
final class Accounts: Sendable {
  private struct State {
    var balances: [String: Int] = [:]
    var busy: Set<String> = []
    var orders = 0
    var overlaps = 0
  }

  private let state = Mutex(State())

  var orders: Int { state.withLock { $0.orders } }
  /// How often an order came while another order of the same customer was under way.
  var overlaps: Int { state.withLock { $0.overlaps } }

  /// Takes an order; returns the customer's balance.
  func order(for customer: String) async throws -> Int {
    let balance = state.withLock { state in
      if !state.busy.insert(customer).inserted { state.overlaps += 1 }
      return state.balances[customer, default: 0]
    }
    try await Task.sleep(for: .milliseconds(5))
    return state.withLock { state in
      state.busy.remove(customer)
      state.balances[customer] = balance + 1
      state.orders += 1
      return balance + 1
    }
  }
}
