//! Bindings generated from the committed artifacts, so that building needs no Solidity compiler.

// Generated code is not held to the lints of ours.
#![allow(clippy::all, clippy::pedantic, missing_docs)]

alloy::sol!(
    #[sol(rpc)]
    #[derive(Debug)]
    PreauthEscrow,
    "contracts/artifacts/PreauthEscrow.json"
);

alloy::sol!(TransferTrial, "contracts/artifacts/TransferTrial.json");

alloy::sol!(
    #[sol(rpc)]
    DemoToken,
    "contracts/artifacts/DemoToken.json"
);

alloy::sol!(
    #[sol(rpc)]
    MoodyToken,
    "contracts/artifacts/MoodyToken.json"
);

alloy::sol! {
    /// What is asked of any token.
    #[sol(rpc)]
    interface Erc20 {
        function symbol() external view returns (string);
        function decimals() external view returns (uint8);
        function balanceOf(address account) external view returns (uint256);
        function allowance(address owner, address spender) external view returns (uint256);
        function approve(address spender, uint256 amount) external returns (bool);
        function transfer(address to, uint256 amount) external returns (bool);

        error ERC20InsufficientAllowance(address spender, uint256 allowance, uint256 needed);
        error ERC20InsufficientBalance(address sender, uint256 balance, uint256 needed);
    }

    /// ERC-1271.
    #[sol(rpc)]
    interface ContractWallet {
        function isValidSignature(bytes32 hash, bytes signature) external view returns (bytes4);
    }

    /// OpenZeppelin's Pausable.
    interface Pausable {
        error EnforcedPause();
    }
}
