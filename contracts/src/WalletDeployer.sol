// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

/// @title Calls the factory of a payer's wallet that is not on chain yet (ERC-6492)
/// @notice The call is whatever somebody wrote into a signature, so it is made by an account that owns nothing, holds no
/// right anywhere and to which nobody should give one: never by the escrow. Anyone may have it make any call.
contract WalletDeployer {
    /// @dev Whether the wallet is there afterwards is for the caller to see; what the factory answers is not copied.
    function deploy(address factory, bytes calldata factoryCall) external {
        // slither-disable-next-line assembly: a call in Solidity would copy the answer.
        assembly ("memory-safe") {
            let data := mload(0x40)
            calldatacopy(data, factoryCall.offset, factoryCall.length)
            pop(call(gas(), factory, 0, data, factoryCall.length, 0, 0))
        }
    }
}
