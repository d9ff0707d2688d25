// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";

/// @title Who wants to be told of transfers
interface ICallback {
    function tokensToSend(address from, address to, uint256 amount) external;
    function tokensReceived(address from, address to, uint256 amount) external;
}

/// @title A token that tells either side of a transfer, as ERC-777 does. FOR TESTS ONLY.
/// @dev The payer's hook runs before anything moved, the payee's after; a hook that reverts stops the transfer.
contract CallbackToken is ERC20("Callback", "CALL") {
    mapping(address account => ICallback) public hookOf;

    function mint(address to, uint256 amount) external {
        _mint(to, amount);
    }

    /// @notice Have the transfers of the caller told to someone; zero for no one.
    function setHook(ICallback hook) external {
        hookOf[msg.sender] = hook;
    }

    function _update(address from, address to, uint256 amount) internal override {
        if (address(hookOf[from]) != address(0)) hookOf[from].tokensToSend(from, to, amount);
        super._update(from, to, amount);
        if (address(hookOf[to]) != address(0)) hookOf[to].tokensReceived(from, to, amount);
    }
}
