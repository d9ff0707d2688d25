// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {Vm} from "forge-std/Vm.sol";

import {IPreauthEscrow} from "../../src/interfaces/IPreauthEscrow.sol";
import {ICallback} from "../mocks/CallbackToken.sol";

interface IBooks {
    /// @dev Whether the escrow holds at this moment what it owes, the operation that runs apart.
    function isBacked() external returns (bool);
}

/// @dev Stands in the middle of transfers, looks at the books and tries to enter the escrow. It is an operator, so that
/// nothing but the lock keeps it out. What it sees it writes down: a revert here could be taken for a token's refusal.
contract Witness is ICallback {
    Vm private constant VM = Vm(address(uint160(uint256(keccak256("hevm cheat code")))));

    address private immutable ESCROW;
    IBooks private books;

    bytes private attack;
    bool public refusing;
    uint256 public turnedAway;
    bool public isAlarmed;
    string public flaw;

    constructor(address escrow) {
        ESCROW = escrow;
    }

    function prepare(IBooks newBooks, bytes calldata newAttack) external {
        (books, attack) = (newBooks, newAttack);
    }

    /// @notice Stop every transfer from now on.
    function refuse(bool isRefusing) external {
        refusing = isRefusing;
    }

    function tokensToSend(address, address, uint256) external {
        look();
    }

    function tokensReceived(address, address, uint256) external {
        look();
    }

    function look() private {
        // A refund's gas would not pay for so long a look.
        VM.pauseGasMetering();
        if (!books.isBacked()) cry("the escrow owes more than it holds");
        (bool entered, bytes memory answer) = ESCROW.call(attack);
        if (entered || bytes4(answer) != IPreauthEscrow.Reentered.selector) cry("the escrow was entered");
        else ++turnedAway;
        VM.resumeGasMetering();
        require(!refusing, "no");
    }

    function cry(string memory what) private {
        (isAlarmed, flaw) = (true, what);
    }
}
